//! A person's own pages, below `/account`: who am I, how do I sign in, where am I signed in, which apps may do what.
//!
//! [`views`] what their templates show.

pub mod views;
