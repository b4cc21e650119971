//! Kafka: brokers that answer, die and come back. A request for the versions of the protocol, which
//! needs no client library, tells whether a broker answers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use jangbu_cluster::{Kafka, Toxiproxy};

/// `ApiVersions`, version 0, correlation 7, without a client's name.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Whether a broker at this address answers.
fn answers(address: &str) -> bool {
    let talk = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&REQUEST)?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        // Its length, our correlation, and no error.
        Ok::<_, std::io::Error>(answer[4..] == [0, 0, 0, 7, 0, 0])
    };
    talk().unwrap_or(false)
}

#[test]
fn one_broker_answers_is_killed_and_comes_back_on_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(&dir.path().join("kafka"), 1).unwrap();
    let address = kafka.bootstrap();
    assert!(answers(&address));
    kafka.kill(0);
    assert!(!answers(&address));
    kafka.start_again(0).unwrap();
    assert!(answers(&address));
    drop(kafka);
    assert!(!answers(&address));
}

#[test]
fn three_brokers_go_on_without_one_of_them_and_stand_behind_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = Toxiproxy::start(&dir.path().join("toxiproxy")).unwrap();
    let kafka = Kafka::start_behind(&dir.path().join("kafka"), 3, &proxy).unwrap();
    let bootstrap = kafka.bootstrap();
    let addresses: Vec<&str> = bootstrap.split(',').collect();
    assert_eq!(addresses.iter().filter(|address| answers(address)).count(), 3);
    kafka.stop(1);
    assert!(answers(addresses[0]) && !answers(addresses[1]) && answers(addresses[2]));
    kafka.start_again(1).unwrap();
    assert!(answers(addresses[1]));
    proxy.cut("kafka-0").unwrap();
    assert!(!answers(addresses[0]) && answers(addresses[2]));
    proxy.heal("kafka-0").unwrap();
    assert!(answers(addresses[0]));
}
