//! `wget`: a call as the pod makes it, by its identity and through the mesh.

use std::io::Write;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingResponse, Method, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

use crate::show::open;
use crate::{Ended, Place};

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

pub(crate) fn wget(arguments: &[String], place: &mut Place<'_>) -> Ended {
    let (mut url, mut file, mut heads) = (None, None, false);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-q" => {}
            "-S" => heads = true,
            "-O" => file = words.next(),
            _ if word.starts_with("-O") || word.starts_with("-qO") => {
                let inside = word.trim_start_matches(['-', 'q']).trim_start_matches('O');
                file = if inside.is_empty() {
                    words.next()
                } else {
                    Some(inside)
                };
            }
            _ if word.starts_with('-') => {
                return Err(format!("{word} is not known here; -q, -S and -O FILE are"));
            }
            _ => url = Some(word),
        }
    }
    let url = url.ok_or("an address is wanted, such as http://SERVICE/PATH")?;
    let response = get(url)?;
    let status = response.status();
    if heads {
        let _heard = writeln!(place.errors, "  HTTP {status}");
        for (name, value) in response.headers().entries() {
            let value = String::from_utf8_lossy(&value).into_owned();
            let _heard = writeln!(place.errors, "  {name}: {value}");
        }
    }
    match file.filter(|file| *file != "-") {
        Some(file) => {
            let path = place.path(file);
            let mut file = open(&path, false).map_err(|error| error.to_string())?;
            read(&response, &mut file)?;
        }
        None => read(&response, place.output)?,
    }
    if status >= 400 {
        return Err(format!("server returned error: HTTP {status}"));
    }
    Ok(0)
}

fn get(url: &str) -> Result<IncomingResponse, String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((other, _)) => {
            return Err(format!("{other}:// is not known; http:// and https:// are"));
        }
        None => (Scheme::Http, url),
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let request = OutgoingRequest::new(Fields::new());
    let refused = |()| format!("{url:?} is no address");
    request.set_method(&Method::Get).map_err(refused)?;
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    let path = if path.is_empty() { "/" } else { path };
    request.set_path_with_query(Some(path)).map_err(refused)?;
    let told = |error| format!("{url}: {error:?}");
    let answer = handle(request, None).map_err(told)?;
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(told(error)),
        _ => Err(format!("{url}: no answer")),
    }
}

fn read(response: &IncomingResponse, to: &mut dyn Write) -> Result<(), String> {
    let body = response
        .consume()
        .map_err(|()| "the answer has no body".to_owned())?;
    let stream = body
        .stream()
        .map_err(|()| "the answer's body cannot be read".to_owned())?;
    loop {
        match stream.blocking_read(PIECE) {
            Ok(bytes) => to.write_all(&bytes).map_err(|error| error.to_string())?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(format!("the answer broke off: {error:?}")),
        }
    }
}
