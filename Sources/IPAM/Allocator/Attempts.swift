import ClusterClient

/// How one attempt at an operation ended without success.
enum AttemptError: Error {
    /// Someone else wrote first, or the store did not answer: read again.
    case again(DatastoreError)
    case failed(IPAMError)

    init(_ error: DatastoreError) {
        switch error.reason {
        case .alreadyExists, .conflict, .notFound, .unavailable: self = .again(error)
        case .corrupt, .failed, .invalidKey: self = .failed(.datastore(error))
        }
    }
}

extension RecordOperations {
    /// Attempts an operation until it succeeds, fails for good, or the time is up (U5, U6).
    ///
    /// The pauses double, and a random part of each is left out so that rivals fall out of step. After an attempt that
    /// took long only to find the store unavailable there is another one only if there is time for one as long.
    func attempting<Answer>(
        _ operation: () async throws(AttemptError) -> Answer
    ) async throws(IPAMError) -> Answer {
        let limit = clock.uptime() + timeLimit
        let deadline = min(limit, RequestDeadline.current ?? limit)
        var pause = Duration.milliseconds(1)
        while true {
            let start = clock.uptime()
            let failure: DatastoreError
            do throws(AttemptError) {
                return try await operation()
            } catch {
                switch error {
                case .failed(let error): throw error
                case .again(let error): failure = error
                }
            }
            let now = clock.uptime()
            let needed = failure.reason == .unavailable ? start.duration(to: now) : .zero
            guard now + needed < deadline, !Task.isCancelled else {
                if failure.reason == .unavailable { throw .datastore(failure) }
                throw .deadlineExceeded("too many others write the same records; last: \(failure)")
            }
            await clock.sleep(min(pause * Double.random(in: 0...1), now.duration(to: deadline)))
            pause = min(pause * 2, .milliseconds(100))
        }
    }

    func read(_ queries: [RecordQuery]) async throws(AttemptError) -> [[Record]] {
        do throws(DatastoreError) {
            return try await datastore.read(queries)
        } catch {
            throw AttemptError(error)
        }
    }

    func keys(_ collection: RecordCollection) async throws(AttemptError) -> [RecordKey] {
        do throws(DatastoreError) {
            return try await datastore.keys(collection)
        } catch {
            throw AttemptError(error)
        }
    }

    @discardableResult
    func commit(_ changes: [RecordChange]) async throws(AttemptError) -> [Revision?] {
        do throws(DatastoreError) {
            return try await datastore.commit(changes)
        } catch {
            throw AttemptError(error)
        }
    }

    /// Runs what an attempt consists of for its value, with errors that are final.
    func deciding<Value>(_ decision: () throws(IPAMError) -> Value) throws(AttemptError) -> Value {
        do throws(IPAMError) {
            return try decision()
        } catch {
            throw .failed(error)
        }
    }
}
