//! Servers and clients over the sockets of WASI 0.3. The first argument says which, the second where.

use std::net::SocketAddr;
use wasip3::cli::{environment, stdout};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::{wit_bindgen, wit_stream};

struct Program;

wasip3::cli::command::export!(Program);

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        let done = match words[..] {
            ["serve", at] => serve(at).await,
            ["ask", at, text] => ask(at, text).await,
            ["lookup", name] => lookup(name).await,
            ["udp-serve", at] => udp_serve(at).await,
            ["udp-ask", at, text] => udp_ask(at, text).await,
            ["twice"] => twice().await,
            _ => Err(ErrorCode::InvalidArgument),
        };
        match done {
            Ok(said) => say(said).await,
            Err(error) => {
                say(format!("{error:?}")).await?;
                Err(())
            }
        }
    }
}

async fn say(line: String) -> Result<(), ()> {
    let (mut sender, said) = wit_stream::new();
    wit_bindgen::spawn_local(async move {
        let _unsent = sender.write_all(format!("{line}\n").into_bytes()).await;
    });
    stdout::write_via_stream(said).await.map_err(|_| ())
}

fn v4(address: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

/// An address, or a name that is looked up.
async fn address(at: &str) -> Result<IpSocketAddress, ErrorCode> {
    if let Ok(SocketAddr::V4(known)) = at.parse() {
        let [a, b, c, d] = known.ip().octets();
        return Ok(v4((a, b, c, d), known.port()));
    }
    let (name, port) = at.rsplit_once(':').ok_or(ErrorCode::InvalidArgument)?;
    let port = port.parse().map_err(|_| ErrorCode::InvalidArgument)?;
    let found = resolve_addresses(name.to_owned()).await;
    let found = found.map_err(|_| ErrorCode::RemoteUnreachable)?;
    let first = found.into_iter().find_map(|address| match address {
        IpAddress::Ipv4(address) => Some(v4(address, port)),
        IpAddress::Ipv6(_) => None,
    });
    first.ok_or(ErrorCode::RemoteUnreachable)
}

fn listening(at: IpSocketAddress) -> Result<TcpSocket, ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(at)?;
    Ok(socket)
}

/// Says back what each connection says, all of them at the same time.
async fn serve(at: &str) -> Result<String, ErrorCode> {
    let socket = listening(address(at).await?)?;
    let mut connections = socket.listen()?;
    while let Some(connection) = connections.next().await {
        wit_bindgen::spawn_local(async move {
            let (said, _ended) = connection.receive();
            let _sent = connection.send(said).await;
        });
    }
    Ok("nobody comes any more".to_owned())
}

/// Says something, and what comes back until the other side hangs up.
async fn ask(at: &str, text: &str) -> Result<String, ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.connect(address(at).await?).await?;
    let (mut sender, said) = wit_stream::new();
    let sent = socket.send(said);
    let text = text.as_bytes().to_vec();
    wit_bindgen::spawn_local(async move {
        let _unsent = sender.write_all(text).await;
    });
    let (answer, ended) = socket.receive();
    let answer = answer.collect().await;
    sent.await?;
    ended.await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn lookup(name: &str) -> Result<String, ErrorCode> {
    let found = resolve_addresses(name.to_owned()).await;
    Ok(match found {
        Ok(found) => format!("{found:?}"),
        Err(error) => format!("{error:?}"),
    })
}

/// Sends each datagram back.
async fn udp_serve(at: &str) -> Result<String, ErrorCode> {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(address(at).await?)?;
    loop {
        let (data, from) = socket.receive().await?;
        socket.send(data, Some(from)).await?;
    }
}

/// Asks until it is answered: datagrams may be lost.
async fn udp_ask(at: &str, text: &str) -> Result<String, ErrorCode> {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    let at = address(at).await?;
    socket.connect(at)?;
    let asked = UdpSocket::get_local_address(&socket)?;
    for _ in 0..5 {
        socket.send(text.as_bytes().to_vec(), None).await?;
        wait_for(10_000_000).await;
    }
    let (answer, from) = socket.receive().await?;
    let kinds = (
        matches!(asked, IpSocketAddress::Ipv4(_)),
        format!("{from:?}") == format!("{at:?}"),
    );
    Ok(format!("{} {kinds:?}", String::from_utf8_lossy(&answer)))
}

/// A port has one owner, and is free again when its socket is gone.
async fn twice() -> Result<String, ErrorCode> {
    let at = || v4((127, 0, 0, 1), 7070);
    let first = listening(at())?;
    let refused = listening(at()).map(|_| ());
    drop(first);
    let again = listening(at()).map(|_| ());
    let elsewhere = listening(v4((192, 0, 2, 1), 7070)).map(|_| ());
    Ok(format!("{refused:?} {again:?} {elsewhere:?}"))
}
