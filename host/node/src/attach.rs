//! `kubectl attach`: what a container writes from now on, and its standard input if it was started with one.

use std::sync::Arc;

use http::{Request, Response};
use osier_api::{Object, Status};
use osier_kubelet::ExecOptions;
use osier_logs::Piece;
use osier_process::body::Body;
use osier_streams::Upgrade;
use osier_streams::remote_command::{self, PROTOCOLS, Streams};
use osier_streams::terminal::{self, Terminal, Wish};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::exec::{find, status, wanted};
use crate::live::Input;
use crate::pod::Shared;

/// Keys that wait to be shown.
const ECHOES: usize = 16;

/// Answers that the connection changes, and attaches its streams.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    (pod, name): (&Object, &str),
    options: &ExecOptions,
    question: Request<Body>,
) -> Result<Response<Body>, Status> {
    let agreed = Upgrade::agree_channels(question.headers(), &PROTOCOLS);
    let live = find(shared, (pod, name))?;
    let written = shared.logs.tap(pod.uid(), name);
    let written =
        written.ok_or_else(|| Status::bad_request(format!("container {name} has just ended")))?;
    let (wanted, input) = (wanted(options), live.input.clone());
    let serve = move |connection, transport| async move {
        remote_command::serve(connection, transport, wanted, |streams| {
            attach(streams, (written, input), wanted.tty)
        })
        .await
    };
    shared.sessions.begin(("attach", agreed), question, serve)
}

/// Until the container ends, which is no failure of the one who is attached, or they interrupt: a component knows no signals, so that
/// only the session ends.
async fn attach(
    streams: Streams,
    (written, input): (mpsc::Receiver<Piece>, Option<Arc<Input>>),
    tty: bool,
) -> String {
    let Streams {
        stdin,
        stdout,
        stderr,
        resize,
    } = streams;
    let (echo, echoed) = mpsc::channel(ECHOES);
    let heard = async {
        if let Some(mut resize) = resize {
            let _sizes = tokio::io::copy(&mut resize, &mut tokio::io::sink()).await;
        }
        std::future::pending::<()>().await;
    };
    let typed = async {
        if let (Some(stdin), Some(input)) = (stdin, input) {
            let wish = type_into(stdin, &input, tty.then_some(&echo)).await;
            input.leave().await;
            if wish == Wish::Interrupt {
                return;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = show((written, echoed), (stdout, stderr), tty) => {}
        () = typed => {}
        () = heard => {}
    }
    status(0)
}

/// Hands what a client types to the container; at a terminal a line at a time, shown as it is typed.
async fn type_into(
    mut stdin: DuplexStream,
    input: &Input,
    screen: Option<&mpsc::Sender<Vec<u8>>>,
) -> Wish {
    let mut terminal = Terminal::default();
    let mut bytes = [0; 8 * 1024];
    while let Ok(length @ 1..) = stdin.read(&mut bytes).await {
        let bytes = &bytes[..length];
        let Some(screen) = screen else {
            if !input.give(bytes).await {
                return Wish::End;
            }
            continue;
        };
        let typed = terminal.typed(bytes);
        // The screen goes with the session.
        let _seen = screen.send(typed.shown).await;
        if !input.give(&typed.input).await || typed.wish != Wish::GoOn {
            return typed.wish;
        }
    }
    Wish::End
}

/// Shows what the container writes and what is typed, until the container ends.
async fn show(
    (mut written, mut echoed): (mpsc::Receiver<Piece>, mpsc::Receiver<Vec<u8>>),
    (mut stdout, mut stderr): (Option<DuplexStream>, Option<DuplexStream>),
    tty: bool,
) {
    loop {
        let (to, bytes) = tokio::select! {
            piece = written.recv() => match piece {
                Some(Piece::Out(bytes)) => (&mut stdout, bytes),
                Some(Piece::Error(bytes)) if tty => (&mut stdout, bytes),
                Some(Piece::Error(bytes)) => (&mut stderr, bytes),
                Some(Piece::Lost(lost)) => {
                    let to = if stderr.is_some() { &mut stderr } else { &mut stdout };
                    let words = format!("[osier: {lost} bytes were lost, you read too slowly]\n");
                    (to, words.into())
                }
                None => return,
            },
            Some(bytes) = echoed.recv() => (&mut stdout, bytes.into()),
        };
        let Some(stream) = to else { continue };
        let sent = match tty {
            true => stream.write_all(&terminal::shown(&bytes)).await,
            false => stream.write_all(&bytes).await,
        };
        if sent.is_err() {
            *to = None;
        }
    }
}
