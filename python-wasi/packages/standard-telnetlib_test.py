import socket
import telnetlib
import threading


def serve(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(telnetlib.IAC + telnetlib.DO + telnetlib.ECHO + b"login: ")
        assert connection.recv(3) == telnetlib.IAC + telnetlib.WONT + telnetlib.ECHO
        assert connection.recv(6) == b"guest\n"
        connection.sendall(b"welcome")


def handler(event, context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=[listener])
        server.start()
        with telnetlib.Telnet(*listener.getsockname(), timeout=10) as client:
            assert client.read_until(b"login: ", timeout=10) == b"login: "
            client.write(b"guest\n")
            assert client.read_all() == b"welcome"
        server.join()
