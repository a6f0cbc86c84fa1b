"""A TCP proxy that is as bad a network as a test wants: slow, late, silent, cut at a given byte, or closed.

It stands between clients and an aggregator on this machine. Its settings may change while it runs; they hold for every
connection, those that are open and those that come.
"""

import asyncio
import dataclasses
import threading

UP, DOWN = 0, 1  # from the client to the server, and back

PART_BYTES = 16 << 10
# What a direction holds at most between its two sockets: a link has little room, the rest waits at the sender.
HELD_PARTS = 16


@dataclasses.dataclass(eq=False)
class Connection:
    cut_at: tuple = None  # (direction, bytes); None: it is not cut by itself
    passed: list = dataclasses.field(default_factory=lambda: [0, 0])  # bytes by direction
    ended: str = ""  # "cut", "closed"; empty: it has not
    forgotten: bool = False


class Proxy:
    """Listens at 127.0.0.1:`port`, passes everything on to 127.0.0.1:`target`."""

    def __init__(self, target):
        self.target = target
        self.delay_s = 0.0  # one way
        self.bytes_per_s = 0.0  # in each direction, all connections together; 0: no limit
        self.refuses = False  # new connections end at once
        self.connections = []  # in the order in which they came
        self._cuts = []  # ordered for connections to come
        self._free_at = [0.0, 0.0]  # when the link has passed what it was given, by direction
        self._sockets = {}  # the two writers of each open connection
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    # -- what a test may do

    def stall(self):
        """Keeps the connections, passes nothing."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self):
        """Ends a stall."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def forget(self):
        """Passes nothing on the connections that are open, not even their end, as a router does that lost its table."""
        with self._changed:
            for connection in self.connections:
                connection.forgotten = True

    def cut(self):
        """Cuts every open connection now."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def cut_next(self, direction, count):
        """Cuts the next connection that comes (after those for which a cut is ordered) when so many bytes have passed."""
        with self._changed:
            self._cuts.append((direction, count))

    def passed(self, direction):
        """Bytes that have passed in this direction, all connections together."""
        with self._changed:
            return sum(connection.passed[direction] for connection in self.connections)

    def wait_until(self, condition, patience_s):
        """Waits until `condition(self)` holds; returns whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), patience_s)

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # -- on the proxy's thread

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        self._flows = asyncio.Event()
        self._flows.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=PART_BYTES))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._cut_all()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _cut_all(self):
        for connection in list(self._sockets):
            self._end(connection, "cut")

    def _end(self, connection, how):
        for writer in self._sockets.pop(connection, ()):
            writer.transport.abort() if how == "cut" else writer.close()
        with self._changed:
            connection.ended = connection.ended or how
            self._changed.notify_all()

    async def _serve(self, client_reader, client_writer):
        try:
            if self.refuses:
                raise ConnectionRefusedError
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=PART_BYTES)
        except OSError:
            client_writer.transport.abort()
            return
        with self._changed:
            connection = Connection(self._cuts.pop(0) if self._cuts else None)
            self.connections.append(connection)
        for writer in (server_writer, client_writer):
            writer.transport.set_write_buffer_limits(0)  # so that what counts as passed has left
        self._sockets[connection] = (server_writer, client_writer)
        flows = []
        for direction, reader, writer in ((UP, client_reader, server_writer), (DOWN, server_reader, client_writer)):
            held = asyncio.Queue(HELD_PARTS)
            flows.append(asyncio.ensure_future(self._take(reader, held)))
            flows.append(asyncio.ensure_future(self._pass(connection, direction, held, writer)))
        try:
            # Whichever side ends, or whichever direction reaches its cut: both are over.
            await asyncio.wait((flows[1], flows[3]), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the proxy is being closed
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            self._end(connection, "closed")

    async def _take(self, reader, held):
        """Reads until the end, which is an empty part."""
        part = b"..."
        while part:
            try:
                part = await reader.read(PART_BYTES)
            except OSError:
                part = b""
            await held.put((self._loop.time(), part))

    async def _pass(self, connection, direction, held, writer):
        """Writes what was read, when it is due; ends with the connection."""
        while True:
            read_at, part = await held.get()
            if not part and not connection.forgotten:
                return
            await self._wait_for(read_at + self.delay_s)
            if self.bytes_per_s > 0:
                begin = max(self._loop.time(), self._free_at[direction])
                self._free_at[direction] = begin + len(part) / self.bytes_per_s
                await self._wait_for(self._free_at[direction])
            await self._flows.wait()
            if connection.forgotten:
                await asyncio.Event().wait()
            left = None
            if connection.cut_at and connection.cut_at[0] == direction:
                left = connection.cut_at[1] - connection.passed[direction]
                part = part[:left]
            try:
                writer.write(part)
                await writer.drain()
            except OSError:
                return
            with self._changed:
                connection.passed[direction] += len(part)
                self._changed.notify_all()
            if left is not None and left <= len(part):
                # What was written may reach the peer; what comes after it never will.
                self._end(connection, "cut")
                return

    async def _wait_for(self, time):
        pause = time - self._loop.time()
        if pause > 0:
            await asyncio.sleep(pause)
