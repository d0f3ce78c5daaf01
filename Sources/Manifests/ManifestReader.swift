import ClusterClient
import Glibc
import KubernetesAPI
import Logging

/// Reads files of a manifest directory, remembers what they held, and reports those that it cannot use.
struct ManifestReader {
    private let directory: String
    private let logger: Logger
    private let pool = StringPool()
    private var set = ManifestSet()
    /// The version of each file that was read last, good or not.
    private var signatures: [String: ManifestFile.Signature] = [:]
    /// What is wrong with the files that cannot be used now.
    private var faults: [String: ManifestError] = [:]
    private var reportedKinds: Set<String> = []

    init(directory: String, logger: Logger) {
        self.directory = directory
        self.logger = logger
    }

    /// Compares the directory with what is known of it, and reads what differs.
    mutating func scan(_ watch: DirectoryWatch) -> [ObjectChange] {
        guard let names = list() else { return [] }
        var changes: [ObjectChange] = []
        for name in Set(signatures.keys).union(faults.keys).union(set.fileNames).subtracting(names).sorted() {
            changes += forget(name)
        }
        for name in names.sorted() {
            let signature = ManifestFile.signature(path(of: name))
            guard signature == nil || signature != signatures[name] else { continue }
            changes += read(name, watch)
        }
        return changes
    }

    /// Reads one file again, whatever happened to it.
    mutating func read(_ name: String, _ watch: DirectoryWatch) -> [ObjectChange] {
        followLink(name, watch)
        do {
            switch try ManifestFile.read(path(of: name)) {
            case .missing, .notAFile:
                return forget(name)
            case .bytes(let bytes, let signature):
                signatures[name] = signature
                return accept(try Manifest(bytes, pool: pool), from: name)
            }
        } catch {
            if faults.updateValue(error, forKey: name) != error { report(error, in: name) }
            return []
        }
    }

    private mutating func accept(_ manifest: Manifest, from name: String) -> [ObjectChange] {
        if faults.removeValue(forKey: name) != nil {
            logger.info("manifest can be used again", metadata: ["file": "\(path(of: name))"])
        }
        for kind in manifest.ignored.subtracting(reportedKinds).sorted() {
            reportedKinds.insert(kind)
            logger.info(
                "objects of a kind that is not used",
                metadata: ["kind": "\(kind)", "file": "\(path(of: name))"]
            )
        }
        return publish(set.set(manifest.objects, of: name))
    }

    private mutating func forget(_ name: String) -> [ObjectChange] {
        signatures[name] = nil
        faults[name] = nil
        return publish(set.remove(name))
    }

    private func publish(_ update: ManifestSet.Update) -> [ObjectChange] {
        for shadowed in update.shadowed {
            logger.warning(
                "object is defined twice; the first definition counts",
                metadata: [
                    "object": "\(shadowed.key)", "file": "\(path(of: shadowed.file))",
                    "first": "\(path(of: shadowed.winner))",
                ]
            )
        }
        return update.changes
    }

    private func report(_ error: ManifestError, in name: String) {
        var metadata: Logger.Metadata = ["file": "\(path(of: name))", "reason": "\(error.reason)"]
        if let line = error.line { metadata["line"] = "\(line)" }
        logger.error("manifest cannot be used; the last good state of its objects stays", metadata: metadata)
    }

    /// Sees to it that changes behind a link are noticed, as they do not happen in the directory.
    private func followLink(_ name: String, _ watch: DirectoryWatch) {
        var status = stat()
        guard lstat(path(of: name), &status) == 0, status.st_mode & S_IFMT == S_IFLNK,
            let resolved = realpath(path(of: name), nil)
        else { return }
        defer { free(resolved) }
        let target = String(cString: resolved)
        guard let slash = target.lastIndex(of: "/") else { return }
        watch.watchElsewhere(slash == target.startIndex ? "/" : String(target[..<slash]))
    }

    private func path(of name: String) -> String {
        directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
    }

    /// `nil` when the directory cannot be listed, which changes nothing.
    private func list() -> Set<String>? {
        guard let stream = opendir(directory) else {
            logger.error(
                "the manifest directory cannot be read",
                metadata: ["directory": "\(directory)", "reason": "\(String(cString: strerror(errno)))"]
            )
            return nil
        }
        defer { closedir(stream) }
        var names: Set<String> = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if ManifestFile.isManifestName(name) { names.insert(name) }
        }
        return names
    }
}
