import KubernetesAPI
import KubernetesWire
import TestSupport

/// An API server as a value: a store with a history, read through replicas that may lag behind, which may repeat
/// themselves, and forget.
struct ModelServer {
    typealias State = [ObjectName: KubernetesObject]

    /// The state at each revision; index 0 is the empty store.
    private(set) var states: [State] = [[:]]
    /// The event that led to each revision; `nil` for a change that concerns objects of another kind.
    private(set) var events: [WatchEvent?] = [nil]
    /// Watches cannot start before this.
    private(set) var compacted = 0

    var revision: Int { states.count - 1 }
    var state: State { states[revision] }

    mutating func compact() {
        compacted = revision
    }

    mutating func mutate(using random: inout SeededGenerator) {
        var state = state
        let name = "s\(Int.random(in: 0..<12, using: &random))"
        let key = ObjectKey.slice(name)
        let version = "\(revision + 1)"
        let old = state[key.name]
        let content = "\(Int.random(in: 0..<3, using: &random))"
        switch (Int.random(in: 0..<10, using: &random), old) {
        case (0, _): append(state, nil)
        case (1...2, .some):
            state[key.name] = nil
            append(state, .deleted(key, resourceVersion: version))
        case (3, .some):  // Deleted and made again: two revisions.
            state[key.name] = nil
            append(state, .deleted(key, resourceVersion: version))
            let object = KubernetesObject.slice(name, content, version: "\(revision + 1)", uid: "u\(revision)")
            state[key.name] = object
            append(state, .added(object))
        default:
            let uid = old?.metadata.uid ?? "u\(revision)"
            let object = KubernetesObject.slice(name, content, version: version, uid: uid)
            state[key.name] = object
            append(state, old == nil ? .added(object) : .modified(object))
        }
    }

    private mutating func append(_ state: State, _ event: WatchEvent?) {
        states.append(state)
        events.append(event)
    }
}
