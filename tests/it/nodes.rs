//! Several nodes on one database, which start at the same moment: they agree on the schema, the master key and the
//! signing keys, and what one of them changes reaches the others.

use reqwest::Client as Http;
use serde_json::Value;

use crate::support::program::{Program, within};

async fn jwks(program: &Program) -> Value {
    let url = format!("{}/.well-known/jwks.json", program.url());
    Http::new().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn nodes_that_start_at_once_all_come_up_with_one_set_of_keys() {
    let first = Program::new().await;
    let (second, third) = (first.neighbour(), first.neighbour());
    let nodes = [&first, &second, &third];
    let running: Vec<_> = std::thread::scope(|scope| {
        let starts = nodes.map(|node| scope.spawn(|| node.serve(&["serve"])));
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let keys = jwks(&first).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 9);
    assert_eq!((jwks(&second).await, jwks(&third).await), (keys.clone(), keys.clone()));
    let names = std::fs::read_dir(first.data()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("master.key")).collect::<Vec<_>>(), ["master.key"]);
    third.done(&["key", "rotate", "--alg", "EdDSA"]);
    within(5, || async { jwks(&first).await != keys && jwks(&first).await == jwks(&second).await }).await;
    for node in running {
        node.stop();
    }
}
