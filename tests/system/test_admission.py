"""Who may join, with real processes: TLS, identities, the allow list, and what each side is told."""

import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time

from federation import ECHO, NODE, FederationTest, main

SERVER = [*ECHO, "clients.count=2", "run.max_versions=0", "net.bind=127.0.0.1"]
CLIENT = [*ECHO, "net.request_timeout_s=3", "net.reconnect_seconds=1", "net.backoff_max_s=0.3"]


class Admission(FederationTest):
    def setUp(self):
        super().setUp()
        self.keys = self.folder / "keys"
        self.make_keys("init", self.keys)
        for name in ("alice", "bob"):
            self.make_keys("client", name, "--dir", self.keys)

    def make_keys(self, *arguments, expect=0):
        code, output = self.run_node_bare("keys", *arguments)
        self.assertEqual(code, expect, output)
        return output

    def serve(self, *arguments, keys=None, settings=()):
        return self.aggregator(self.folder / "run", "--config", (keys or self.keys) / "aggregator.toml", *arguments,
                               settings=[*SERVER, *settings])

    def join(self, server, config, *arguments, settings=CLIENT):
        return self.start("--role", "client", "--join", f"127.0.0.1:{server.port}", "--config", config, *arguments,
                          settings=settings)

    def refused(self, server, client, *, client_says, server_says):
        self.assertEqual(client.wait(), 1, client.output)
        self.assertIn(client_says, client.output)
        if server_says:
            server.wait_for(server_says)

    # -- those who may -------------------------------------------------------------------------

    def test_a_federation_with_tls_and_identities(self):
        server = self.serve("--set", "run.max_updates=12", "--set", "clients.minimum=2")
        clients = [self.join(server, self.keys / f"{name}.toml", "--out", self.folder / name, settings=ECHO)
                   for name in ("alice", "bob")]
        for node in (server, *clients):
            self.assertEqual(node.wait(), 0, node.output)
        self.assertEqual(self.summary(self.folder / "run")["updates_accepted"], 12)
        self.assertEqual(self.summary(self.folder / "alice")["name"], "alice")
        code, output = self.run_node_bare("replay", self.folder / "run")
        self.assertEqual(code, 0, output)
        self.assertIn(self.summary(self.folder / "run")["model_sha256"], output)

    def test_a_killed_server_is_joined_again(self):
        server = self.serve()
        alice = self.join(server, self.keys / "alice.toml", settings=[*ECHO, "net.backoff_max_s=0.3"])
        alice.wait_for(r"update of task \d+ .* accepted")
        server.kill()
        server.wait()
        again = self.aggregator(self.folder / "run", "--config", self.keys / "aggregator.toml", "--resume",
                                port=server.port, settings=SERVER)
        alice.wait_for("alice is connected", 2)
        code, output = self.run_node_bare("stop", self.folder / "run")
        self.assertEqual(code, 0, output)
        self.assertEqual(again.wait(), 0, again.output)
        self.assertEqual(alice.wait(), 0, alice.output)

    # -- transport -----------------------------------------------------------------------------

    def test_plain_client_to_a_tls_port(self):
        server = self.serve()
        client = self.client(server.port, "x", settings=CLIENT)
        self.refused(server, client, client_says="without net.tls", server_says="does not speak TLS")
        code, output = self.run_node_bare("status", f"127.0.0.1:{server.port}")
        self.assertEqual(code, 1, output)
        self.assertIn("without net.tls", output)

    def test_tls_client_to_a_plain_port(self):
        server = self.aggregator(self.folder / "run", settings=[*ECHO, "run.max_versions=0"])
        client = self.join(server, self.keys / "alice.toml")
        self.refused(server, client, client_says="does not speak TLS", server_says=None)

    def test_no_certificate(self):
        """Somebody without a certificate is refused, again and again, and nobody else notices."""
        server = self.serve()
        alice = self.join(server, self.keys / "alice.toml", settings=[*ECHO, "train.echo_seconds=0.01"])
        alice.wait_for(r"update of task \d+ .* accepted")
        for _ in range(10):
            self.try_without_certificate(server)
        server.wait_for("TLS with 127.0.0.1 failed: we refuse it: certificate required")
        heard = sum("accepted" in line for line in alice.lines)
        alice.wait_for(r"update of task \d+ .* accepted", heard + 10)
        self.assertNotIn("is lost", alice.output)

    def try_without_certificate(self, server):
        context = ssl.create_default_context(cafile=self.keys / "ca.pem")
        context.check_hostname = False
        with self.assertRaisesRegex(OSError, "(?i)certificate required|unexpected eof|reset"):
            with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port))) as connection:
                while connection.recv(1000):
                    pass
                raise ConnectionResetError("reset")

    def test_a_certificate_of_another_authority(self):
        server = self.serve()
        other = self.folder / "other"
        self.make_keys("init", other)
        self.make_keys("client", "alice", "--dir", other)
        self.refused(server, self.join(server, other / "alice.toml"),
                     client_says="we refuse its certificate: self-signed certificate in certificate chain",
                     server_says="it refuses us: unknown CA")
        # The client trusts the server, but shows a certificate of the other authority.
        mixed = ["net.tls.ca=" + str(self.keys / "ca.pem")]
        self.refused(server, self.join(server, other / "alice.toml", settings=[*CLIENT, *mixed]),
                     client_says="it refuses us: unknown CA", server_says="we refuse its certificate: unable to get")

    def test_an_expired_certificate(self):
        self.expire("bob")
        server = self.serve()
        client = self.join(server, self.keys / "bob.toml")
        self.refused(server, client, client_says="certificate expired",
                     server_says="we refuse its certificate: certificate has expired")
        self.assertIn("bob.pem expired on 2020-01-02", client.output)

    def test_an_expired_server(self):
        self.expire("aggregator")
        server = self.serve()
        self.refused(server, self.join(server, self.keys / "alice.toml"),
                     client_says="we refuse its certificate: certificate has expired",
                     server_says="it refuses us: certificate expired")

    def expire(self, name):
        """Signs the node's key again, for a day that is long over."""
        authority = self.folder / "authority"
        authority.mkdir()
        (authority / "index").touch()
        (authority / "serial").write_text("10\n")
        (authority / "conf").write_text(
            "[ca]\ndefault_ca = here\n[here]\nnew_certs_dir = {0}\ndatabase = {0}/index\nserial = {0}/serial\n"
            "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n".format(authority))
        request = authority / "request"
        self.openssl("req", "-new", "-key", self.keys / f"{name}.key", "-subj", f"/CN={name}", "-out", request)
        self.openssl("ca", "-batch", "-config", authority / "conf", "-cert", self.keys / "ca.pem", "-keyfile",
                     self.keys / "ca.key", "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-in", request,
                     "-out", self.keys / f"{name}.pem", "-notext")

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    # -- identity ------------------------------------------------------------------------------

    def test_the_right_certificate_with_the_wrong_key(self):
        server = self.serve()
        client = self.join(server, self.keys / "alice.toml",
                           settings=[*CLIENT, f"net.identity={self.keys / 'bob.identity'}"])
        self.refused(server, client, client_says='the key of "alice" (net.identity) is not the one',
                     server_says='alice is refused: the key of "alice"')

    def test_a_recorded_hello_is_of_no_use(self):
        server = self.serve()
        config = self.keys / "alice.toml"
        recorded = self.attacker(server, "alice", "record", config)
        self.assertEqual(recorded.returncode, 0, recorded.stdout)
        replayed = self.attacker(server, "alice", "replay", config, *recorded.stdout.split())
        self.assertEqual(replayed.returncode, 0, replayed.stdout)
        self.assertIn("hello_refused the proof of identity answers no open challenge", replayed.stdout)
        server.wait_for("alice is refused: the proof of identity answers no open challenge")

    def attacker(self, server, *arguments):
        return subprocess.run([str(NODE.parent / "attacker"), str(server.port), *map(str, arguments)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)

    def test_no_key_and_no_place_on_the_list(self):
        server = self.serve()
        self.refused(server, self.join(server, self.keys / "alice.toml", settings=[*CLIENT, "net.identity="]),
                     client_says="the client needs its Ed25519 key", server_says="alice is refused")
        self.refused(server, self.join(server, self.keys / "alice.toml", "--name", "carl"),
                     client_says='"carl" is not on the aggregator\'s allow list', server_says="carl is refused")

    def test_another_aggregator(self):
        other = self.folder / "other"
        self.make_keys("init", other)
        # It has a certificate of the same authority, but not the identity that the clients know.
        server = self.serve("--set", f"net.identity={other / 'aggregator.identity'}")
        self.refused(server, self.join(server, self.keys / "alice.toml"),
                     client_says="this is not the aggregator that net.aggregator_key names", server_says=None)

    def test_a_name_is_revoked_while_it_takes_part(self):
        server = self.serve()
        alice, bob = (self.join(server, self.keys / f"{name}.toml", settings=[*CLIENT, "train.echo_seconds=0.05"])
                      for name in ("alice", "bob"))
        for client in (alice, bob):
            client.wait_for(r"update of task \d+ .* accepted")
        self.make_keys("revoke", "alice", "--dir", self.keys)
        server.kill(signal.SIGHUP)
        self.refused(server, alice, client_says='"alice" is not on the aggregator\'s allow list',
                     server_says="alice is not on the allow list any more")
        heard = sum("accepted" in line for line in bob.lines)
        bob.wait_for(r"update of task \d+ .* accepted", heard + 3)
        # A list that cannot be read changes nothing.
        (self.keys / "allow_list").write_text("alice\n")
        server.kill(signal.SIGHUP)
        server.wait_for("allow_list:1: .*; the list in use stays")
        # A new key lets her in again.
        (self.keys / "allow_list").write_text("")
        self.make_keys("client", "alice", "--dir", self.keys)
        server.kill(signal.SIGHUP)
        server.wait_for("bob is not on the allow list any more")
        again = self.join(server, self.keys / "alice.toml")
        again.wait_for(r"update of task \d+ .* accepted")

    def test_one_session_a_name(self):
        server = self.serve()
        first = self.join(server, self.keys / "alice.toml", settings=[*CLIENT, "train.echo_seconds=0.05"])
        first.wait_for(r"update of task \d+ .* accepted")
        second = self.join(server, self.keys / "alice.toml")
        self.refused(server, second, client_says="a client named alice is connected already", server_says=None)
        first.wait_for(r"update of task \d+ .* accepted", 3)

    # -- the owner -----------------------------------------------------------------------------

    def test_only_the_owner_stops_the_run(self):
        server = self.serve()
        where = f"127.0.0.1:{server.port}"
        code, output = self.run_node_bare("stop", where, "--config", self.keys / "alice.toml")
        self.assertEqual(code, 1, output)
        self.assertIn("only who holds the aggregator's key", output)
        server.wait_for("somebody may not stop the run")
        code, output = self.run_node_bare("status", where, "--config", self.keys / "alice.toml")
        self.assertEqual(code, 0, output)
        code, output = self.run_node_bare("stop", where, "--config", self.keys / "aggregator.toml")
        self.assertEqual(code, 0, output)
        self.assertEqual(server.wait(), 0, server.output)

    def test_health(self):
        run = self.folder / "run"
        code, output = self.run_node_bare("health", self.folder)
        self.assertEqual((code, output[:5]), (1, "down:"), output)
        server = self.serve()
        end = time.monotonic() + 60
        while (code := self.run_node_bare("health", run)[0]) != 0 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.run_node_bare("health", run), (0, "ready\n"))
        self.assertEqual(self.run_node_bare("health", f"127.0.0.1:{server.port}", "--config", self.keys / "bob.toml"),
                         (0, "ready\n"))
        self.assertEqual(self.run_node_bare("health", run), (0, "ready\n"))
        self.assertNotIn("TLS with", server.output)  # who goes away has not failed
        server.kill()
        server.wait()
        code, output = self.run_node_bare("health", run)
        self.assertEqual((code, output[:5]), (1, "down:"), output)

    def test_the_service_manager_is_told(self):
        path = self.folder / "notify"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(str(path))
        listener.settimeout(60)
        os.environ["NOTIFY_SOCKET"] = str(path)
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        server = self.serve()
        said = []
        while not any("READY=1" in text for text in said):
            said.append(listener.recv(4096).decode())
        server.kill(signal.SIGTERM)
        while not said[-1].startswith("STOPPING=1"):
            said.append(listener.recv(4096).decode())
        self.assertIn("WATCHDOG=1", said[0])

    # -- keys ----------------------------------------------------------------------------------

    def test_keys_that_cannot_be_made(self):
        self.assertIn("exists", self.make_keys("init", self.keys, expect=2))
        self.assertIn("keys init", self.make_keys("client", "x", "--dir", self.folder / "nowhere", expect=2))
        self.assertIn("name", self.make_keys("client", "a/b", "--dir", self.keys, expect=2))
        self.assertIn("carl", self.make_keys("revoke", "carl", "--dir", self.keys, expect=2))
        self.assertEqual((self.keys / "alice.key").stat().st_mode & 0o777, 0o600)

    def test_a_secret_that_others_may_read(self):
        (self.keys / "alice.identity").chmod(0o644)
        code, output = self.run_node("--role", "client", "--join", "127.0.0.1:1", "--config", self.keys / "alice.toml",
                                     settings=ECHO)
        self.assertEqual(code, 2, output)
        self.assertIn("chmod 600", output)


if __name__ == "__main__":
    main()
