//! Connections: [`forwarded`] which client a proxy forwards for, [`bounds`] how long each step may take and how many connections
//! there may be, [`http2`] streams, [`hostile`] two thousand of those who want to harm, [`drain`] a stop that loses nothing.

mod bounds;
mod drain;
mod forwarded;
mod hostile;
mod http2;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};

/// Far more than anything here takes; a machine may be busy.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// The address behind a server's URL.
fn address(url: &str) -> SocketAddr {
    format!("127.0.0.1:{}", url.rsplit(':').next().unwrap()).parse().unwrap()
}

/// A connection from another address of this machine.
async fn connect_from(own: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(own, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// Waits until the server has closed the connection; what came before does not matter.
async fn closed(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let reading = async { while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(WAIT_TIMEOUT, reading).await.expect("it is closed in time");
}

/// Lets this process have as many files as it may.
fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
