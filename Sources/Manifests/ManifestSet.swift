import ClusterClient
import KubernetesAPI

/// The objects of all files together: which file each one is taken from, and what changes when a file does.
///
/// An object that several files define is taken from the first of them, by file name; in one file, from the first
/// place.
struct ManifestSet {
    /// A definition that has no effect.
    struct Shadowed: Hashable {
        let key: ObjectKey
        let file: String
        /// The file whose definition has effect.
        let winner: String
    }

    struct Update: Hashable {
        var changes: [ObjectChange] = []
        var shadowed: [Shadowed] = []
    }

    private var files: [String: [ObjectKey: KubernetesObject]] = [:]
    /// The file that each object is taken from.
    private var sources: [ObjectKey: String] = [:]
    /// Every file that defines an object, where that is more than one.
    private var rivals: [ObjectKey: Set<String>] = [:]

    var fileNames: Set<String> { Set(files.keys) }

    /// Replaces what a file holds; work is proportional to what it held and holds.
    mutating func set(_ objects: [KubernetesObject], of file: String) -> Update {
        var update = Update()
        var new: [ObjectKey: KubernetesObject] = [:]
        var order: [ObjectKey] = []
        for object in objects {
            let key = object.key
            if new[key] == nil {
                new[key] = object
                order.append(key)
            } else {
                update.shadowed.append(Shadowed(key: key, file: file, winner: file))
            }
        }
        let old = files[file] ?? [:]
        let gone = old.keys.filter { new[$0] == nil }
        let before = Dictionary(uniqueKeysWithValues: (gone + order).map { ($0, effective($0)) })

        files[file] = new
        for key in gone { withdraw(file, from: key) }
        for key in order {
            let isNew = old[key] == nil
            enter(file, for: key)
            guard isNew, let winner = sources[key], let all = rivals[key] else { continue }
            let losers = winner == file ? all.subtracting([file]) : [file]
            update.shadowed += losers.sorted().map { Shadowed(key: key, file: $0, winner: winner) }
        }
        // What goes first, so that an object that moved to another name does not meet its old self.
        for key in gone + order {
            switch (before[key] ?? nil, effective(key)) {
            case (let old?, let new?) where old != new: update.changes.append(.set(new))
            case (nil, let new?): update.changes.append(.set(new))
            case (.some, nil): update.changes.append(.delete(key))
            default: break
            }
        }
        return update
    }

    /// Forgets a file.
    mutating func remove(_ file: String) -> Update {
        let update = set([], of: file)
        files[file] = nil
        return update
    }

    private func effective(_ key: ObjectKey) -> KubernetesObject? {
        sources[key].flatMap { files[$0]?[key] }
    }

    private mutating func enter(_ file: String, for key: ObjectKey) {
        guard let current = sources[key], current != file || rivals[key] != nil else {
            sources[key] = file
            return
        }
        let all = (rivals[key] ?? [current]).union([file])
        rivals[key] = all
        sources[key] = all.min()
    }

    private mutating func withdraw(_ file: String, from key: ObjectKey) {
        guard var all = rivals[key] else {
            sources[key] = nil
            return
        }
        all.remove(file)
        sources[key] = all.min()
        rivals[key] = all.count > 1 ? all : nil
    }
}
