import Dispatch
import Glibc
import Synchronization

/// The kernel's notices about the files of a directory (inotify(7)), merged until someone takes them.
final class DirectoryWatch: Sendable {
    /// What happened since the last time; merging keeps it small whatever happens.
    struct Notices {
        /// Files to be read again.
        var names: Set<String> = []
        /// Whether notices were lost or concern more than single files, so that everything has to be compared.
        var needsScan = false
        /// Whether the path leads to another directory now, or to none.
        var isLost = false
    }

    private struct State {
        var notices = Notices()
        /// Names of directories other than the watched one, in which links end.
        var elsewhere: Set<CInt> = []
    }

    /// An element for each time that there is something to take.
    let wakeUps: AsyncStream<Void>

    private let path: String
    private let descriptor: CInt
    private let directory: CInt
    private let parent: CInt
    private let state = Mutex(State())
    // Dispatch objects may be used from any thread; only their Swift types do not say so.
    nonisolated(unsafe) private let source: any DispatchSourceRead

    private static let fileEvents =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE) | UInt32(IN_CREATE)

    /// - Throws: `ManifestError` when the path leads to no directory that can be watched.
    init(_ path: String) throws(ManifestError) {
        let descriptor = inotify_init1(CInt(IN_NONBLOCK) | CInt(IN_CLOEXEC))
        guard descriptor >= 0 else { throw Self.failure("cannot be watched") }
        let flags = Self.fileEvents | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_ONLYDIR)
        let directory = inotify_add_watch(descriptor, path, flags)
        guard directory >= 0 else {
            let failure = Self.failure("cannot be watched")
            close(descriptor)
            throw failure
        }
        // The path itself may be a link that is replaced, or a directory that another is renamed over. Not being
        // allowed to see the parent is no obstacle.
        let (parentPath, name) = Self.split(path)
        parent = inotify_add_watch(
            descriptor,
            parentPath,
            UInt32(IN_CREATE) | UInt32(IN_MOVED_TO) | UInt32(IN_ONLYDIR) | UInt32(IN_MASK_ADD)
        )
        self.path = path
        self.descriptor = descriptor
        self.directory = directory
        let wakeUp: AsyncStream<Void>.Continuation
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let queue = DispatchQueue(label: "DirectoryWatch")
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        self.source = source
        source.setEventHandler { [weak self] in
            guard let self, self.readNotices(name: name) else { return }
            wakeUp.yield()
        }
        source.setCancelHandler {
            close(descriptor)
            wakeUp.finish()
        }
        source.resume()
    }

    deinit {
        source.cancel()
    }

    func take() -> Notices {
        state.withLock { state in
            defer { state.notices = Notices() }
            return state.notices
        }
    }

    /// Also watches a directory that a link of the watched one leads into.
    func watchElsewhere(_ path: String) {
        let flags = Self.fileEvents | UInt32(IN_ONLYDIR) | UInt32(IN_MASK_ADD)
        let watch = inotify_add_watch(descriptor, path, flags)
        guard watch >= 0, watch != directory else { return }
        state.withLock { _ = $0.elsewhere.insert(watch) }
    }

    /// Whether there is something to take.
    private func readNotices(name: String) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var notices = Notices()
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            state.withLock { state in
                buffer[..<count].withUnsafeBytes { bytes in
                    Self.parse(bytes) { event, file in
                        note(event, file, directoryName: name, &state, &notices)
                    }
                }
            }
        }
        guard notices.needsScan || notices.isLost || !notices.names.isEmpty else { return false }
        state.withLock { state in
            state.notices.names.formUnion(notices.names)
            state.notices.needsScan = state.notices.needsScan || notices.needsScan
            state.notices.isLost = state.notices.isLost || notices.isLost
        }
        return true
    }

    private func note(
        _ event: inotify_event,
        _ file: String,
        directoryName: String,
        _ state: inout State,
        _ notices: inout Notices
    ) {
        let lost = UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_UNMOUNT) | UInt32(IN_IGNORED)
        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
            notices.needsScan = true
        } else if event.wd == directory {
            if event.mask & lost != 0 {
                notices.isLost = true
            } else if ManifestFile.isManifestName(file) {
                let isBeingWritten = event.mask & UInt32(IN_CREATE) != 0 && !ManifestFile.isLink("\(path)/\(file)")
                if !isBeingWritten { notices.names.insert(file) }
            } else if file.hasPrefix("..") || event.mask & UInt32(IN_ISDIR) != 0 {
                notices.needsScan = true  // `..data` of a mounted ConfigMap now leads elsewhere.
            }
        } else if event.wd == parent, file == directoryName {
            notices.isLost = true
        } else if state.elsewhere.contains(event.wd) {
            if event.mask & UInt32(IN_IGNORED) != 0 { state.elsewhere.remove(event.wd) }
            notices.needsScan = true
        }
    }

    /// `struct inotify_event` is followed by its name, padded with zeros, of the length that it tells.
    private static func parse(_ bytes: UnsafeRawBufferPointer, _ body: (inotify_event, String) -> Void) {
        let header = MemoryLayout<inotify_event>.size
        var offset = 0
        while offset + header <= bytes.count {
            let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
            let name = bytes[(offset + header)..<min(offset + header + Int(event.len), bytes.count)]
            body(event, String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
            offset += header + Int(event.len)
        }
    }

    /// The parent of a path, and what the last step to it is called.
    private static func split(_ path: String) -> (parent: String, name: String) {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard let slash = trimmed.lastIndex(of: "/") else { return (".", trimmed) }
        let parent = trimmed[..<slash]
        return (parent.isEmpty ? "/" : String(parent), String(trimmed[trimmed.index(after: slash)...]))
    }

    private static func failure(_ what: String) -> ManifestError {
        ManifestError(line: nil, reason: "\(what): \(String(cString: strerror(errno)))")
    }
}
