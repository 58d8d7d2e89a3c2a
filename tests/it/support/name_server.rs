//! A name server on a free loopback port (RFC 1035 §4): it knows the names that it is told, which lead to 127.0.0.1, and is
//! silent about every other one. [`NameServer::used_by`] makes a Signet under test ask it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;
use signet::config::Config;
use tokio::net::UdpSocket;

pub struct NameServer {
    pub address: SocketAddr,
    known: Arc<Mutex<HashSet<String>>>,
    asked: Arc<Mutex<HashSet<String>>>,
}

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (known, asked) = (Arc::<Mutex<HashSet<String>>>::default(), Arc::<Mutex<HashSet<String>>>::default());
        let (names, seen) = (known.clone(), asked.clone());
        tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut query).await else { continue };
                let Some((name, end)) = question(&query[..length]) else { continue };
                seen.lock().unwrap().insert(name.clone());
                if names.lock().unwrap().contains(&name) {
                    socket.send_to(&answer(&query[..end]), from).await.ok();
                }
            }
        });
        Self { address, known, asked }
    }

    /// That name leads to 127.0.0.1 from now on.
    pub fn knows(&self, name: &str) {
        self.known.lock().unwrap().insert(name.to_owned());
    }

    /// How many names it was asked for.
    pub fn names_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Requests that go out ask here for names, and may reach 127.0.0.1.
    pub fn used_by(&self, config: &mut Config) {
        super::receiver::reachable(config);
        config.outbound.resolver = serde_json::from_value(json!(self.address.to_string())).unwrap();
    }
}

/// The name in the one question of a query, and where the question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            return Some((labels.join("."), at + 4));
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
}

/// Address 127.0.0.1 to a question of type A, and none to any other.
fn answer(question: &[u8]) -> Vec<u8> {
    let is_a = question[question.len() - 4..question.len() - 2] == [0, 1];
    let mut answer = question.to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}
