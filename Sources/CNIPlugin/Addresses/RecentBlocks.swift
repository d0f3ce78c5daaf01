import Glibc
import NetworkTypes

/// Which blocks the last ADD of a network had to look at, so that the next call reads them together with what tells that
/// they are the node's: one request less.
///
/// It is a guess and nothing depends on it: a block that is not wanted any more was read for nothing, and one that is
/// missing is read a request later. So it is neither synced nor locked, and what is wrong with its file is passed over.
struct RecentBlocks {
    private let dataDirectory: String
    private let network: String

    /// An ADD that looks at more is not a quick one anyway.
    private static let limit = 8

    /// - Parameter network: the network's name, which is a file's name, too (1.1).
    init(dataDirectory: String, network: String) {
        self.dataDirectory = dataDirectory
        self.network = network
    }

    private var directory: String { dataDirectory + "/recent-blocks" }
    private var file: String { "\(directory)/\(network)" }

    /// The blocks; none where nothing is known.
    func load() -> [CIDR] {
        guard let text = try? SmallFile.contents(file) else { return [] }
        return text.split(separator: "\n").prefix(Self.limit).compactMap { CIDR(String($0)) }
    }

    /// Notes the blocks for the next call, unless that is what is noted.
    ///
    /// - Parameter noted: what ``load()`` gave in this call.
    func note(_ blocks: [CIDR], replacing noted: [CIDR]) {
        let blocks = Array(blocks.prefix(Self.limit))
        guard blocks != noted else { return }
        for path in [dataDirectory, directory] { mkdir(path, 0o700) }
        let beside = "\(directory)/.\(network).\(getpid())"
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600 as mode_t)
        guard descriptor >= 0 else { return }
        let bytes = Array(blocks.map { "\($0)\n" }.joined().utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count
        close(descriptor)
        if !isWritten || rename(beside, file) != 0 { unlink(beside) }
    }
}
