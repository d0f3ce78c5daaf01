import Glibc

/// Where the objects of a cluster are kept for the next start, so that a node that reboots while the API server is away
/// still has its Services.
///
/// Its format: `SWLTSNAP`, a version, the length of a header and the header (``SnapshotHeader``); then the objects, each
/// as its length, the index of its kind in the header, and protobuf as the API has it; then a mark, the number of
/// objects, and a checksum (CRC-32C) of all that. Numbers are little-endian.
public struct SnapshotFile: Hashable, Sendable {
    public var path: String
    /// Which cluster it is of: a file that says another one is not used.
    ///
    /// What tells clusters apart is how they are reached: the addresses of the servers, and the authority that signs
    /// their certificates. The uid of the namespace kube-system would be surer, but a proxy may not read it, and has
    /// nobody to ask when the API server is away.
    public var cluster: String

    public init(path: String, cluster: String) {
        self.path = path
        self.cluster = cluster
    }

    /// In place of the length of an object, where there are no more.
    static let endMark = UInt32.max
    /// The mark, the number of objects and the checksum.
    static let trailerLength = 4 + 8 + 4
    /// The magic, the version and the length of the header.
    static let prologueLength = 8 + 4 + 4
    /// An object of the API is smaller than the 1.5 MiB that etcd takes.
    static let recordLimit = 16 << 20
    static let sizeLimit: Int64 = 4 << 30
    static let bufferSize = 64 << 10
}

/// Why a snapshot cannot be used, or not be written.
struct SnapshotError: Error, Hashable, Sendable, CustomStringConvertible {
    let path: String
    /// One clause.
    let reason: String
    /// Whether there is just no file.
    var isAbsence = false

    var description: String { "snapshot \(path): \(reason)" }

    init(path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    /// From `errno`.
    init(path: String, failed action: String, code: CInt = errno) {
        self.init(path: path, "\(action): \(String(cString: strerror(code)))")
        isAbsence = code == ENOENT
    }
}
