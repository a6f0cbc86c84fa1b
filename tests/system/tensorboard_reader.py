"""An independent reader of TensorBoard's event files: records with CRC-32C, and as much of Protobuf as their events need."""

import struct


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checked(data, checksum):
    crc = crc32c(data)
    assert checksum == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF, "a checksum is wrong"
    return data


def fields(message):
    """{number: [values]} of a Protobuf message: integers, floats, or bytes."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value, at = message[at:at + size], at + size
            assert len(value) == size, "a field ends early"
            if key & 7 != 2:
                value, = struct.unpack("<d" if size == 8 else "<f", value)
        found.setdefault(key >> 3, []).append(value)
    return found


def read_events(path):
    """[(wall time, step, what)]: what is the version of the format, {tag: value}, or "start" of a session."""
    content, events = path.read_bytes(), []
    while content:
        length, checksum = struct.unpack("<QI", content[:12])
        checked(content[:8], checksum)
        event = fields(checked(content[12:12 + length], *struct.unpack("<I", content[12 + length:16 + length])))
        content = content[16 + length:]
        if 3 in event:
            what = event[3][0].decode()
        elif 7 in event:
            what = {1: "start"}[fields(event[7][0])[1][0]]
        else:
            values = [fields(value) for value in fields(event[5][0])[1]]
            what = {value[1][0].decode(): value[2][0] for value in values}
        events.append((event[1][0], event.get(2, [0])[0], what))
    return events
