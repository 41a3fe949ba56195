//! The console: the page on the wire, over both versions of HTTP, and what it may call.

mod origins;
mod page;
mod raw;
mod sign_in;

use std::io::Read;

use http::{HeaderMap, StatusCode};
use regex::Regex;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use secret_service::api::ConsoleOptions;

use crate::support::{Options, World};

/// What a browser accepts that opens a page.
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

/// A world with a console.
async fn with_console(change: impl FnOnce(&mut Options)) -> World {
    let mut options = Options { console: Some(ConsoleOptions::default()), ..Options::default() };
    change(&mut options);
    World::start_with(options).await
}

/// A client for each version of HTTP.
fn both() -> [Client; 2] {
    both_with(|builder| builder)
}

/// The same, built in another way.
fn both_with(change: impl Fn(ClientBuilder) -> ClientBuilder) -> [Client; 2] {
    [Client::builder().http1_only(), Client::builder().http2_prior_knowledge()]
        .map(|builder| change(builder.no_proxy()).build().unwrap())
}

/// The URL of a path of the service.
fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.address())
}

/// An answer that was read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request, and reads its answer.
async fn read(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

/// Opens a path, as a browser does.
async fn open(client: &Client, world: &World, path: &str) -> Answer {
    read(client.get(url(world, path)).header(BROWSER.0, BROWSER.1)).await
}

// === impl Answer ===

impl Answer {
    /// The one value of a header; empty where it is absent.
    fn header(&self, name: &str) -> &str {
        let mut all = self.headers.get_all(name).iter();
        let value = all.next().map_or("", |value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} is there twice");
        value
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Its body without the compression that its header names.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        match self.header("content-encoding") {
            "br" => brotli::Decompressor::new(&*self.body, 4_096).read_to_end(&mut content).unwrap(),
            "gzip" => flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut content).unwrap(),
            "" => return self.body.clone(),
            other => panic!("{other}"),
        };
        content
    }
}

/// The files that the page names.
async fn files_of_the_page(client: &Client, world: &World) -> Vec<String> {
    let page = open(client, world, "/").await;
    let named = Regex::new(r#"(?:src|href)="(/assets/[^"]+)""#).unwrap();
    let files: Vec<String> = named.captures_iter(page.text()).map(|found| found[1].to_owned()).collect();
    assert!(files.iter().any(|file| file.ends_with(".js")), "{}", page.text());
    files
}
