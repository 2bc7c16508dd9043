//! The backend: HTTP/1.1, kept connections, 1 KiB in every answer. It shares its core with the load, so that it does as little as it
//! can for each request: it looks for the end of the head, and writes bytes that are always the same.

use anyhow::Result;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BODY: usize = 1024;
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n";
const END: &[u8] = b"\r\n\r\n";
/// No head of a request is longer.
const LONGEST: usize = 64 << 10;

/// Listens on a free port, prints it, and answers until it is killed.
pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let answer: Arc<[u8]> = answer().into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        // A connection that breaks is the proxy's to tell.
        tokio::spawn(async move { serve(stream, &answer).await.unwrap_or_default() });
    }
}

fn answer() -> Vec<u8> {
    let mut answer = HEAD.as_bytes().to_vec();
    answer.resize(HEAD.len() + BODY, b'x');
    answer
}

async fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut held = Vec::with_capacity(4096);
    while held.len() < LONGEST && stream.read_buf(&mut held).await? > 0 {
        while take(&mut held) {
            stream.write_all(answer).await?;
        }
    }
    Ok(())
}

/// Takes one whole head of a request without a body from what was read.
fn take(held: &mut Vec<u8>) -> bool {
    let Some(at) = held.windows(END.len()).position(|part| part == END) else {
        return false;
    };
    held.drain(..at + END.len());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_whole_and_one_by_one() {
        let mut held = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c".to_vec();
        assert!(take(&mut held) && take(&mut held));
        assert!(!take(&mut held), "a head that is cut waits for the rest");
        assert_eq!(held, b"GET /c");
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = String::from_utf8(answer()).unwrap_or_default();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }
}
