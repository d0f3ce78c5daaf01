import ClusterClient
import KubernetesClient
import NIOCore
import ServerTransport

extension KubernetesDatastore {
    /// Lists, watches from the list's `resourceVersion` on, and again from where it was when the stream ends. When that state
    /// is forgotten (410), it starts over with another snapshot.
    public func watch(_ query: RecordQuery) -> RecordWatch {
        RecordWatch { (sink) async throws(DatastoreError) in
            try await ObjectWatch(store: self, subject: try self.subject(of: query), sink: sink).run()
        }
    }
}

/// What is watched, and what it says.
struct WatchSubject: Sendable {
    let resource: APIResource
    var namespace: String?
    var query: [(String, String)] = []
    let records: @Sendable (CustomObject) throws(DatastoreError) -> [Record]
}

extension KubernetesDatastore {
    func subject(of query: RecordQuery) throws(DatastoreError) -> WatchSubject {
        var wanted: RecordKey?
        if case .record(let key) = query {
            try check(key)
            wanted = key
        }
        switch query {
        case .record(.resource(.nodes, _, let name)):
            return nodes([("fieldSelector", "metadata.name=\(name)")])
        case .collection(.resources(.nodes)):
            return nodes([])
        case .record(.resource(.workloadEndpoints, let namespace, let name)):
            let pod = EndpointName(name)?.pod
            var subject = endpoints(pod.map { [("fieldSelector", "metadata.name=\($0)")] } ?? [], wanted)
            subject.namespace = namespace
            return subject
        case .collection(.resources(.workloadEndpoints)):
            return endpoints(node.map { [("fieldSelector", "spec.nodeName=\($0)")] } ?? [], nil)
        case .record(let key):
            guard let kind = CalicoKind(key) else { break }
            let names = key.objectNames
            // An object that may have one of two names is looked for among all.
            return objects(kind, names.count == 1 ? [("fieldSelector", "metadata.name=\(names[0])")] : []) { $0 == key }
        case .collection(let collection):
            guard let kind = CalicoKind(collection) else { break }
            // Without the labels, which not all affinities have.
            return objects(kind, []) { collection.includes($0) }
        }
        throw DatastoreError(.invalidKey, wanted, "is no record of this store")
    }

    private func nodes(_ query: [(String, String)]) -> WatchSubject {
        WatchSubject(resource: .nodes, query: query) { node in
            [Record(key: .resource(.nodes, name: node.name), value: NodeRecord.value(node), revision: node.revision)]
        }
    }

    private func endpoints(_ query: [(String, String)], _ wanted: RecordKey?) -> WatchSubject {
        WatchSubject(resource: .pods, query: query) { pod in
            PodEndpoints(pod: pod).records.filter { wanted == nil || $0.key == wanted }
        }
    }

    private func objects(
        _ kind: CalicoKind,
        _ query: [(String, String)],
        _ isWanted: @escaping @Sendable (RecordKey) -> Bool
    ) -> WatchSubject {
        WatchSubject(resource: requests.resource(kind), query: query) { (object) throws(DatastoreError) in
            guard !(kind.isDeletedSoftly && object.isSoftlyDeleted) else { return [] }
            let key = try key(of: object, kind)
            return isWanted(key) ? [record(object, kind, key)] : []
        }
    }
}

private struct ObjectWatch {
    let store: KubernetesDatastore
    let subject: WatchSubject
    let sink: RecordWatch.Sink

    private static let firstPause = Duration.milliseconds(20)
    private static let longestPause = Duration.seconds(5)
    /// A message is one object; a list is longer.
    private static let longestLine = 16 << 20

    func run() async throws(DatastoreError) {
        var pause = Self.firstPause
        while !Task.isCancelled {
            var position: Position
            do throws(DatastoreError) {
                guard let start = try await list() else { return }
                position = start
            } catch {
                guard error.reason == .unavailable, await Self.wait(&pause) else { throw error }
                continue
            }
            pause = Self.firstPause
            watching: while !Task.isCancelled {
                let start = position.version
                let end = try await follow(&position)
                if position.version != start { pause = Self.firstPause }
                switch end {
                case .dropped: return
                case .expired: break watching
                case .cut: guard await Self.wait(&pause) else { return }
                }
            }
        }
    }

    /// How far the watch has come.
    private struct Position: Sendable {
        var version: String
        var objects = WatchedObjects()
    }

    /// `false` when the task was cancelled.
    private static func wait(_ pause: inout Duration) async -> Bool {
        do { try await Task.sleep(for: pause * Double.random(in: 0.5...1)) } catch { return false }
        pause = min(pause * 2, longestPause)
        return true
    }

    /// Tells all that there is; `nil` when nobody listens.
    private func list() async throws(DatastoreError) -> Position? {
        var found: [(object: CustomObject, records: [Record])] = []
        let version = try await store.requests.list(
            subject.resource,
            namespace: subject.namespace,
            query: subject.query,
            pageSize: 100,
            restart: { found = [] }
        ) { (value) throws(DatastoreError) in
            let object = try store.requests.object(value, subject.resource)
            found.append((object, try subject.records(object)))
        }
        var position = Position(version: version)
        position.objects.replace(found)
        let records = found.flatMap(\.records).sorted { $0.key < $1.key }
        return await sink.send(.snapshot(records)) ? position : nil
    }

    private enum End { case cut, expired, dropped }

    /// Watches until the stream ends.
    private func follow(_ position: inout Position) async throws(DatastoreError) -> End {
        // The server ends the stream in time; one that does not is hung.
        let seconds = Int.random(in: 240...360)
        let request = store.requests.watch(
            subject.resource,
            namespace: subject.namespace,
            query: subject.query + [
                ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", position.version),
                ("timeoutSeconds", String(seconds)),
            ]
        )
        let response: StreamedResponse
        do throws(KubernetesError) {
            response = try await store.requests.client.stream(request)
        } catch {
            let failure = RequestFailure(error, request)
            if failure.isExpired { return .expired }
            guard failure.error.reason == .unavailable else { throw failure.error }
            return .cut
        }
        typealias Outcome = (position: Position, end: Result<End, DatastoreError>)
        let (outcome, isTimedOut) = await withTaskGroup(of: Outcome?.self) { [position] group in
            group.addTask {
                var position = position
                let end = await read(response, &position)
                return (position, end)
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(seconds + 30))
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            guard let first else { return (await group.next() ?? nil, true) }
            return (first, false)
        }
        guard let outcome else { return .expired }
        position = outcome.position
        let end = try outcome.end.get()
        // What was about to be told when the time was up may be lost.
        return isTimedOut && end == .dropped ? .expired : end
    }

    private func read(_ response: StreamedResponse, _ position: inout Position) async -> Result<End, DatastoreError> {
        var lines = LineBuffer(limit: Self.longestLine)
        do {
            for try await piece in response.body {
                lines.append(piece)
                while let line = try lines.next() {
                    switch await take(line, &position) {
                    case .success(nil): break
                    case .success(let end?): return .success(end)
                    case .failure(let error): return .failure(error)
                    }
                }
            }
        } catch {
            // However it ended, also by a line that is too long: from the last state on.
        }
        return .success(.cut)
    }

    /// Tells what a line says. Returns how the watch goes on, if not with the next line.
    private func take(
        _ line: ByteBuffer,
        _ position: inout Position
    ) async -> Result<End?, DatastoreError> {
        do throws(MalformedObject) {
            let events: [RecordEvent]
            switch try line.withSpan({ (text) throws(MalformedObject) in try WatchLine(text) }) {
            case .present(let object):
                do throws(DatastoreError) {
                    events = position.objects.update(object, try subject.records(object))
                } catch {
                    return .failure(error)
                }
                position.version = object.resourceVersion
            case .gone(let object):
                events = position.objects.update(object, [])
                position.version = object.resourceVersion
            case .bookmark(let resourceVersion):
                events = []
                position.version = resourceVersion
            case .error(410, _): return .success(.expired)
            case .error: return .success(.cut)
            }
            for event in events {
                guard await sink.send(event) else { return .success(.dropped) }
            }
            return .success(nil)
        } catch {
            // Garbage: from the last state that was understood on.
            return .success(.cut)
        }
    }
}
