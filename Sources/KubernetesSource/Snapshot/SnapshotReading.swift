import ClusterClient
import Glibc
import KubernetesAPI
import KubernetesWire

/// What an earlier process knew.
struct Snapshot: Hashable, Sendable {
    struct Part: Hashable, Sendable {
        var resourceVersion: String
        var objects: [KubernetesObject] = []
    }

    var parts: [ObjectKind: Part] = [:]
}

extension SnapshotFile {
    /// Reads the objects of those resources that are in the file. Blocks.
    ///
    /// Nothing of a file is believed before its checksum was found right; what an object takes is bounded all the same.
    func read(_ resources: [WatchedResource]) throws(SnapshotError) -> Snapshot {
        let number = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard number >= 0 else { throw SnapshotError(path: path, failed: "cannot be opened") }
        let descriptor = Descriptor(number)
        let size = try checkedSize(of: descriptor)
        let header = try readHeader(descriptor, size)
        try verifyChecksum(descriptor, size)
        return try readObjects(descriptor, size, header, resources)
    }

    private func checkedSize(of descriptor: Descriptor) throws(SnapshotError) -> Int64 {
        var status = stat()
        guard fstat(descriptor.number, &status) == 0 else {
            throw SnapshotError(path: path, failed: "cannot be examined")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SnapshotError(path: path, "is no file") }
        guard status.st_uid == geteuid(), status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw SnapshotError(path: path, "others may write it; it is only used with mode 0600 and our own owner")
        }
        let size = Int64(status.st_size)
        guard size >= Int64(Self.prologueLength + Self.trailerLength) else {
            throw SnapshotError(path: path, "is cut off")
        }
        guard size <= Self.sizeLimit else { throw SnapshotError(path: path, "is larger than \(Self.sizeLimit) bytes") }
        return size
    }

    private func readHeader(_ descriptor: Descriptor, _ size: Int64) throws(SnapshotError) -> (SnapshotHeader, Int64) {
        var input = SnapshotInput(path: path, descriptor: descriptor, end: size - Int64(Self.trailerLength))
        guard try input.take(SnapshotHeader.magic.count) == SnapshotHeader.magic else {
            throw SnapshotError(path: path, "is no snapshot")
        }
        let version = try input.takeNumber(UInt32.self)
        guard version == SnapshotHeader.version else {
            throw SnapshotError(
                path: path,
                "has version \(version) of the format; this program reads version \(SnapshotHeader.version)"
            )
        }
        let length = try input.takeNumber(UInt32.self)
        guard length <= SnapshotHeader.lengthLimit, Int64(length) <= input.left else {
            throw SnapshotError(path: path, "is damaged: its header is too long")
        }
        guard let header = SnapshotHeader(try input.take(Int(length))) else {
            throw SnapshotError(path: path, "is damaged: its header cannot be read")
        }
        guard header.cluster == cluster else {
            throw SnapshotError(path: path, "is of another cluster (\(header.cluster.prefix(300)))")
        }
        return (header, Int64(Self.prologueLength) + Int64(length))
    }

    private func verifyChecksum(_ descriptor: Descriptor, _ size: Int64) throws(SnapshotError) {
        var input = SnapshotInput(path: path, descriptor: descriptor, end: size)
        var checksum = Checksum()
        var left = size - 4
        while left > 0 {
            let bytes = try input.take(Int(min(left, Int64(Self.bufferSize))))
            checksum.update(bytes)
            left -= Int64(bytes.count)
        }
        guard try input.takeNumber(UInt32.self) == checksum.value else {
            throw SnapshotError(path: path, "is damaged or cut off: its checksum is wrong")
        }
    }

    private func readObjects(
        _ descriptor: Descriptor,
        _ size: Int64,
        _ header: (SnapshotHeader, Int64),
        _ resources: [WatchedResource]
    ) throws(SnapshotError) -> Snapshot {
        let (header, start) = header
        var snapshot = Snapshot()
        for part in header.parts where resources.contains(where: { $0.kind == part.kind && $0.scope == part.scope }) {
            snapshot.parts[part.kind] = Snapshot.Part(resourceVersion: part.resourceVersion)
        }
        var input = SnapshotInput(path: path, descriptor: descriptor, at: start, end: size - 4)
        let pool = StringPool()
        var count: UInt64 = 0
        while true {
            let length = try input.takeNumber(UInt32.self)
            if length == Self.endMark { break }
            guard length <= Self.recordLimit else {
                throw SnapshotError(path: path, "is damaged: an object is too long")
            }
            let index = Int(try input.takeNumber(UInt8.self))
            guard header.parts.indices.contains(index) else {
                throw SnapshotError(path: path, "is damaged: an object is of no kind")
            }
            let bytes = try input.take(Int(length))
            count += 1
            let kind = header.parts[index].kind
            guard snapshot.parts[kind] != nil else { continue }
            do {
                guard case .object(let object) = try Wire.decodeObject(kind, bytes.span, .protobuf, pool) else {
                    continue
                }
                snapshot.parts[kind]?.objects.append(object)
            } catch {
                throw SnapshotError(path: path, "has a \(kind.rawValue) that cannot be read: \(error)")
            }
        }
        guard try input.takeNumber(UInt64.self) == count, input.left == 0 else {
            throw SnapshotError(path: path, "is damaged: objects are missing")
        }
        return snapshot
    }
}

/// Reads a file from one end to the other, a buffer at a time.
private struct SnapshotInput {
    let path: String
    let descriptor: Descriptor
    private var position: Int64
    private let end: Int64
    private var buffer: [UInt8] = []
    private var used = 0

    init(path: String, descriptor: Descriptor, at position: Int64 = 0, end: Int64) {
        self.path = path
        self.descriptor = descriptor
        self.position = position
        self.end = end
    }

    /// How many bytes follow.
    var left: Int64 { end - position + Int64(buffer.count - used) }

    mutating func take(_ count: Int) throws(SnapshotError) -> [UInt8] {
        guard count <= left else { throw SnapshotError(path: path, "is cut off") }
        while buffer.count - used < count { try fill(atLeast: count) }
        defer { used += count }
        return Array(buffer[used..<used + count])
    }

    mutating func takeNumber<Number: FixedWidthInteger>(_ type: Number.Type) throws(SnapshotError) -> Number {
        var bytes = try take(MemoryLayout<Number>.size)[...]
        return bytes.takeNumber(type) ?? 0
    }

    private mutating func fill(atLeast count: Int) throws(SnapshotError) {
        buffer.removeFirst(used)
        used = 0
        let wanted = Int(min(Int64(max(SnapshotFile.bufferSize, count - buffer.count)), end - position))
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: wanted))
        let result = buffer.withUnsafeMutableBytes { bytes in
            pread(descriptor.number, bytes.baseAddress.map { $0 + old }, wanted, off_t(position))
        }
        let code = errno
        buffer.removeLast(wanted - max(0, result))
        guard result > 0 else {
            if result < 0, code == EINTR { return }
            if result == 0 { throw SnapshotError(path: path, "is cut off") }
            throw SnapshotError(path: path, failed: "cannot be read", code: code)
        }
        position += Int64(result)
    }
}
