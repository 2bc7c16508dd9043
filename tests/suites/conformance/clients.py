"""Servers and clients of other makers: `serve` prints its ports, `grpc ADDRESS HOST` and `websocket ADDRESS HOST` say what came of it as JSON."""

import json
import socket
import sys
import threading


def serve():
    import time
    from concurrent import futures

    import grpc
    from websockets.sync.server import serve as websocket

    def unary(message, context):
        context.set_trailing_metadata((("x-trailer", "unary"),))
        return message.upper()

    def many(message, context):
        for number in range(3):
            yield message + str(number).encode()

    def collected(messages, context):
        return b"+".join(messages)

    def both(messages, context):
        for message in messages:
            yield message[::-1]

    def late(message, context):
        time.sleep(3)
        return message

    def wrong(message, context):
        context.abort(grpc.StatusCode.DATA_LOSS, "lost, sorry")

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Many": grpc.unary_stream_rpc_method_handler(many),
        "Collected": grpc.stream_unary_rpc_method_handler(collected),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Late": grpc.unary_unary_rpc_method_handler(late),
        "Wrong": grpc.unary_unary_rpc_method_handler(wrong),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("pkg.All", handlers),))
    calls = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def echo(connection):
        for message in connection:
            connection.send(message)

    sockets = websocket(echo, "127.0.0.1", 0, max_size=None)
    print(json.dumps({"grpc": calls, "websocket": sockets.socket.getsockname()[1]}), flush=True)
    sockets.serve_forever()


def calls(address, host):
    import grpc

    channel = grpc.insecure_channel(address, options=[("grpc.default_authority", host)])
    same = lambda message: message
    said = {}
    reply, call = channel.unary_unary("/pkg.All/Unary", same, same).with_call(b"hello", timeout=15)
    said["unary"] = [reply.decode(), dict(call.trailing_metadata()).get("x-trailer")]
    said["many"] = [m.decode() for m in channel.unary_stream("/pkg.All/Many", same, same)(b"n", timeout=15)]
    said["collected"] = channel.stream_unary("/pkg.All/Collected", same, same)(iter([b"a", b"b", b"c"]), timeout=15).decode()
    # Each message goes only when the answer to the one before has come: nothing on the way may hold them back.
    turn = threading.Semaphore(1)

    def asked():
        for word in (b"one", b"two", b"three"):
            turn.acquire()
            yield word

    replies = []
    for message in channel.stream_stream("/pkg.All/Both", same, same)(asked(), timeout=15):
        replies.append(message.decode())
        turn.release()
    said["both"] = replies
    for name, limit in (("Late", 0.5), ("Wrong", 15), ("Nobody", 15)):
        try:
            channel.unary_unary(f"/pkg.All/{name}", same, same)(b"x", timeout=limit)
        except grpc.RpcError as error:
            said[name.lower()] = error.code().name
    big = b"x" * (3 << 20)
    said["big"] = len(channel.unary_unary("/pkg.All/Unary", same, same)(big, timeout=15))
    print(json.dumps(said))


def messages(address, host):
    from websockets.sync.client import connect

    name, port = address.split(":")
    stream = socket.create_connection((name, int(port)))
    said = {}
    with connect(f"ws://{host}/chat", sock=stream, max_size=None) as connection:
        connection.send("hello")
        said["text"] = connection.recv(timeout=15)
        connection.send(b"\x00\xff" * 100_000)
        said["binary"] = len(connection.recv(timeout=15))
        said["ping"] = connection.ping().wait(15)
    said["closed"] = connection.protocol.close_code
    print(json.dumps(said))


if __name__ == "__main__":
    {"serve": serve, "grpc": calls, "websocket": messages}[sys.argv[1]](*sys.argv[2:])
