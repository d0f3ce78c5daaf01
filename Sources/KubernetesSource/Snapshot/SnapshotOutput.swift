import ClusterClient
import Glibc
import KubernetesAPI
import KubernetesWire

/// A snapshot that is being written, beside the one that it will replace.
///
/// Its methods block. It is a value that a task hands to the thread that writes, and takes back.
struct SnapshotOutput: Sendable {
    private let file: SnapshotFile
    private let descriptor: Descriptor
    private var buffer: [UInt8] = []
    private var checksum = Checksum()
    private var count: UInt64 = 0

    private var temporaryPath: String { Self.temporaryPath(of: file) }

    private static func temporaryPath(of file: SnapshotFile) -> String { "\(file.path).tmp" }

    /// Begins a file that only its owner can read.
    init(_ file: SnapshotFile, _ header: SnapshotHeader) throws(SnapshotError) {
        self.file = file
        let path = Self.temporaryPath(of: file)
        unlink(path)  // What a process left that was killed.
        let number = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard number >= 0 else { throw SnapshotError(path: path, failed: "cannot be created") }
        descriptor = Descriptor(number)
        let bytes = header.bytes
        buffer = SnapshotHeader.magic
        buffer.append(number: SnapshotHeader.version)
        buffer.append(number: UInt32(bytes.count))
        buffer += bytes
    }

    /// - Parameter part: the index in the header of the objects' kind.
    mutating func append(_ objects: [KubernetesObject], part: Int) throws(SnapshotError) {
        for object in objects {
            let bytes = Wire.encode(object, .protobuf)
            guard bytes.count <= SnapshotFile.recordLimit else { continue }
            buffer.append(number: UInt32(bytes.count))
            buffer.append(UInt8(part))
            buffer += bytes
            count += 1
            if buffer.count >= SnapshotFile.bufferSize { try flush() }
        }
    }

    /// Makes the file the snapshot, durably.
    mutating func finish() throws(SnapshotError) {
        buffer.append(number: SnapshotFile.endMark)
        buffer.append(number: count)
        try flush()
        buffer.append(number: checksum.value)
        try flush()
        guard fsync(descriptor.number) == 0 else {
            throw SnapshotError(path: temporaryPath, failed: "cannot be synced")
        }
        guard rename(temporaryPath, file.path) == 0 else {
            throw SnapshotError(path: file.path, failed: "cannot be replaced")
        }
        try syncDirectory()
    }

    /// Removes a file that will not be finished.
    func abandon() {
        unlink(temporaryPath)
    }

    private mutating func flush() throws(SnapshotError) {
        checksum.update(buffer)
        var written = 0
        while written < buffer.count {
            let result = buffer.withUnsafeBytes { bytes in
                write(descriptor.number, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if result < 0, errno == EINTR { continue }
            guard result >= 0 else { throw SnapshotError(path: temporaryPath, failed: "cannot be written") }
            written += result
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func syncDirectory() throws(SnapshotError) {
        let path = file.path.lastIndex(of: "/").map { String(file.path[...$0]) } ?? "."
        let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw SnapshotError(path: path, failed: "cannot be opened") }
        let directory = Descriptor(number)
        guard fsync(directory.number) == 0 else { throw SnapshotError(path: path, failed: "cannot be synced") }
    }
}
