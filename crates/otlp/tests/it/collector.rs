//! A collector in a few lines: takes what is posted, answers 200, and decodes it with the library.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// Takes spans on a port of its own.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) url: String,
    pub(crate) spans: Receiver<Span>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, spans) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tell = tell.clone();
                // Each process that exports keeps a connection.
                std::thread::spawn(move || take(stream.unwrap(), &tell));
            }
        });
        Self { url, spans }
    }
}

/// Takes all requests of a connection.
fn take(mut stream: TcpStream, tell: &Sender<Span>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(body) = request(&mut reader) {
        let taken = ExportTraceServiceRequest::decode(&*body).unwrap();
        let scopes = taken.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        // Nobody may listen any more: the test has seen enough.
        scopes.flat_map(|scope| scope.spans).for_each(|span| drop(tell.send(span)));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

/// The body of the next request, if one comes.
fn request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return None;
    }
    assert!(line.starts_with("POST /v1/traces "), "{line}");
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    Some(body)
}
