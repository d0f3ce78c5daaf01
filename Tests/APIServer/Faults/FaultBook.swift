import Synchronization

/// The fault rules of a server, and how often each has hit.
final class FaultBook: Sendable {
    private struct Entry {
        let id: Int
        let rule: FaultRule
        var seen = 0
        var hits = 0
    }

    private struct State {
        var entries: [Entry] = []
        var removed: [Int: Int] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())

    func add(_ rule: FaultRule) -> Int {
        state.withLock { state in
            state.lastID += 1
            state.entries.append(Entry(id: state.lastID, rule: rule))
            return state.lastID
        }
    }

    func remove(_ id: Int?) {
        state.withLock { state in
            for entry in state.entries where id == nil || entry.id == id { state.removed[entry.id] = entry.hits }
            state.entries.removeAll { id == nil || $0.id == id }
        }
    }

    func hits(_ id: Int) -> Int {
        state.withLock { state in state.entries.first { $0.id == id }?.hits ?? state.removed[id] ?? 0 }
    }

    /// The fault for a request, if any. The first rule that matches counts the request; one that is used up is passed by.
    func fault(for request: LoggedRequest) -> Fault? {
        state.withLock { state in
            for index in state.entries.indices where state.entries[index].rule.matches(request) {
                let rule = state.entries[index].rule
                if let count = rule.count, state.entries[index].hits >= count { continue }
                state.entries[index].seen += 1
                guard state.entries[index].seen > rule.skip else { continue }
                state.entries[index].hits += 1
                return rule.fault
            }
            return nil
        }
    }
}

extension FaultRule {
    func matches(_ request: LoggedRequest) -> Bool {
        if let method, method != request.method { return false }
        if let watch, watch != request.isWatch { return false }
        guard request.path.hasPrefix(path) else { return false }
        guard let query else { return true }
        return request.query.contains { "\($0.key)=\($0.value)".contains(query) }
    }
}
