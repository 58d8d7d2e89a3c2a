//! Random histories of issuing, using and ending access, on two nodes whose clocks disagree, against a reference model.
//!
//! [`action`] draws what happens next, [`world`] does it over HTTP, [`model`] says which answers are right. A history
//! that fails prints its seed and its last actions.
//!
//! `HISTORY_STEPS` is the number of actions in all (50,000 on each engine unless set); `HISTORY_SEED`
//! the first seed.

mod action;
mod model;
mod world;

use std::collections::VecDeque;
use std::time::Duration;

use action::Draw;
use futures::FutureExt as _;
use world::World;

/// Each history has a database of its own; a longer one costs more to compare at its end.
const STEPS_OF_ONE: usize = 1_000;
/// A failure prints this many of the actions that led to it.
const LAST_ACTIONS: usize = 30;
const AT_ONCE: usize = 2;
/// So many actions both accept and refuse each of [`ANSWERS`].
const MANY: usize = 20_000;
const ANSWERS: [&str; 19] = [
    "an authorization",
    "a sign-in page that was left open",
    "a code",
    "a code in a race",
    "a refresh token",
    "a refresh token in a race",
    "a repeated refresh token",
    "offline access",
    "a token exchange",
    "a device authorization",
    "an approval of a device",
    "a device code",
    "a client by itself",
    "a ticket",
    "a session at the gate",
    "a token at the gate",
    "a new API key",
    "an API key",
    "UserInfo",
];

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

async fn run(seed: u64, steps: usize) {
    let mut draw = Draw::new(seed);
    let mut world = World::start(seed).await;
    let mut last = VecDeque::new();
    for step in 0..steps {
        let action = draw.next();
        last.push_back(format!("{step}: {action:?}"));
        if last.len() > LAST_ACTIONS {
            last.pop_front();
        }
        let done = std::panic::AssertUnwindSafe(world.act(&action)).catch_unwind();
        let done = tokio::time::timeout(Duration::from_mins(1), done).await;
        if !matches!(done, Ok(Ok(()))) {
            let actions: Vec<String> = last.into();
            panic!("history {seed} fails at step {step}; its last actions:\n{}", actions.join("\n"));
        }
    }
    world.compare_everything().await;
    world.close().await;
}

/// T36, T37, T52: what is revoked stays revoked a day later, after a restart and on a node whose clock is five minutes
/// off, and nothing else is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_agree_with_the_reference_model() {
    let histories = setting("HISTORY_STEPS", 50_000).div_ceil(STEPS_OF_ONE);
    let first = setting("HISTORY_SEED", 1);
    let mut running = tokio::task::JoinSet::new();
    for history in first..first + histories {
        if running.len() == AT_ONCE {
            finished(running.join_next().await);
        }
        running.spawn(run(u64::try_from(history).unwrap(), STEPS_OF_ONE));
    }
    while !running.is_empty() {
        finished(running.join_next().await);
    }
    let one_sided = world::one_sided(&ANSWERS);
    assert!(histories * STEPS_OF_ONE < MANY || one_sided.is_empty(), "never both refused and accepted: {one_sided:?}");
}

/// Fails with the message of the history that failed.
fn finished(done: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(failed)) = done {
        std::panic::resume_unwind(failed.into_panic());
    }
}
