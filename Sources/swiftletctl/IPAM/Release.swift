import ArgumentParser
import ClusterClient
import IPAM
import KubernetesAPI
import NetworkTypes
import Reports
import Stores
import Version

extension IPAMCommand {
    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Release addresses that nobody uses.",
            discussion: """
                With --ip, one address; it is refused while an endpoint is recorded for it or, in the Kubernetes store, a \
                Pod has it by its status, unless --force is given.

                With --from-report, what ipam check -o has found leaked. Of several reports only what all of them have \
                counts, so that an address that a pod was just getting is not taken away. The reports have to be of this \
                cluster, at least one of them of its present state, and the store has to be locked, so that nothing \
                is assigned meanwhile; --force does without the lock and with reports of another version. What is in use by \
                now is left alone. An address that was assigned less than two minutes ago may be of a pod that is starting: \
                with a locked store it is looked at again after 15 seconds, else it is left alone too.

                EXAMPLES
                  swiftletctl ipam release --ip 10.80.0.1
                  swiftletctl ipam check -o a.json; sleep 300
                  swiftletctl datastore migrate lock
                  swiftletctl ipam check -o b.json
                  swiftletctl ipam release --from-report a.json --from-report b.json
                  swiftletctl datastore migrate unlock

                \(Manual.ends([.notAssigned: "the address is not assigned"]))
                """
        )

        @Option(help: ArgumentHelp("The address to release.", valueName: "address"))
        var ip: String?

        @Option(
            help: ArgumentHelp("A report of ipam check -o; may be repeated.", valueName: "file"),
            completion: .file(extensions: ["json"])
        )
        var fromReport: [String] = []

        @Flag(
            help:
                "Release an address that is in use; release with an unlocked store or from reports of another version."
        )
        var force = false

        @OptionGroup var store: StoreOptions

        func validate() throws {
            guard (ip == nil) != fromReport.isEmpty else {
                throw ValidationError("Give either --ip or --from-report.")
            }
        }

        func run() async throws {
            var address: IPAddress?
            if let ip {
                address = IPAddress(ip)
                guard address != nil else {
                    throw Failure(status: .usage, message: "invalid IP address specified: \(ip)")
                }
            }
            let reports = try fromReport.map(read)
            try await store.administer { administration in
                if let address {
                    try await release(address, administration)
                } else {
                    try await release(reports, administration)
                }
            }
        }

        private func read(_ path: String) throws -> ConsistencyReport {
            do {
                return try ConsistencyReport(parsing: try RecordInput(path).all())
            } catch let problem as ConsistencyReport.Malformed {
                throw Failure(status: .error, message: "\(path): \(problem)")
            }
        }

        private func release(_ address: IPAddress, _ administration: IPAMAdministration) async throws {
            let report = try await AddressReport.read(address, from: administration.datastore)
            guard case .assigned(let assignment) = report.state else {
                throw Failure(status: .notAssigned, message: "IP address \(address) is not assigned")
            }
            if !force {
                let records = try await administration.records()
                if let owner = records.owner(of: address) {
                    throw Failure(
                        status: .error,
                        message: "IP address \(address) is in use by \(owner); delete the pod, or give --force"
                    )
                }
                if records.hidesEndpoints {
                    throw Failure(
                        status: .error,
                        message: "IP address \(address) may be in use, as the record of an endpoint cannot be read: "
                            + "see swiftletctl ipam check; or give --force"
                    )
                }
            }
            // What was looked at, and nothing that took its place meanwhile.
            let options = ReleaseOptions(
                address: address,
                handle: assignment.handle,
                sequenceNumber: assignment.sequenceNumber
            )
            let result = try await administration.release([options])
            guard !result.released.isEmpty else {
                throw Failure(status: .notAssigned, message: "IP address \(address) is not assigned")
            }
            Output.print("Successfully released IP address \(address)")
        }

        private func release(_ reports: [ConsistencyReport], _ administration: IPAMAdministration) async throws {
            var check = try await look(administration)
            try require(reports, fit: check)
            let found = ConsistencyReport.commonLeaks(reports).map {
                ReleaseOptions(address: $0.address, handle: $0.handle, sequenceNumber: $0.sequenceNumber)
            }
            let isLocked = check.information?.spec.datastoreReady == false
            if isLocked, check.allocations.contains(where: { $0.use == .recent && found.contains($0.identity) }) {
                try await waitForStartingPods()
                check = try await look(administration, grace: Self.settling)
            }
            // What is in use by now, though it was not when the reports were made.
            let inUse = Set(
                check.allocations.lazy.filter { !$0.isReleasable && $0.use != .coolingDown }.map(\.identity)
            )
            let leaks = found.filter { !inUse.contains($0) }
            Output.print("Releasing \(leaks.count) old IPs...")
            var progress = Progress()
            let released = try await administration.release(leaks: leaks) { count in
                progress.show("\(count.done + count.skipped) of \(leaks.count)")
            }
            progress.clear()
            Output.print("Released \(released.done) IPs successfully")
            if released.skipped > 0 {
                Output.print(
                    "\(released.skipped) addresses marked as leaked in the report had already been cleaned up."
                )
            }
            if leaks.count < found.count {
                Output.print(
                    "\(found.count - leaks.count) addresses are in use by now, or may be, and were left alone."
                )
            }
            let handles = ConsistencyReport.commonHandles(reports).filter { !check.mayHaveAddresses(handle: $0.id) }
            Output.print("Deleting \(handles.count) handles...")
            let deleted = try await delete(handles, administration)
            Output.print(
                "Released \(deleted.done) handles; \(deleted.skipped) skipped; \(deleted.errors.count) errors."
            )
            for error in released.errors + deleted.errors { Output.error(error) }
            Output.print("You may now unlock the data store.")
            if !(released.errors + deleted.errors).isEmpty { throw Failure(status: .error, message: "") }
        }

        private func look(
            _ administration: IPAMAdministration,
            grace: Duration = ConsistencyCheck.gracePeriod
        ) async throws -> ConsistencyCheck {
            try await Progress.during("reading what is in use") {
                ConsistencyCheck(try await administration.records(), now: .now, grace: grace)
            }
        }

        /// While the store is locked no address is assigned, and the ADD of one that was has ended after this time: what
        /// the store has not taken within 10 s is given up.
        private static let settling = Duration.seconds(15)

        private func waitForStartingPods() async throws {
            var progress = Progress()
            progress.end("waiting for \(Self.settling.components.seconds) s, as pods may be starting")
            try await Task.sleep(for: Self.settling)
        }

        /// Shows a sign for each handle, as calicoctl does.
        private func delete(
            _ handles: [ConsistencyCheck.LeakedHandle],
            _ administration: IPAMAdministration
        ) async throws -> CleanupCount {
            guard !handles.isEmpty else { return CleanupCount() }
            Output.print("Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.")
            var last = CleanupCount()
            let deleted = try await administration.delete(handles: handles) { count in
                if count.done > last.done { Output.printPart(".") }
                if count.skipped > last.skipped { Output.printPart("x") }
                last = count
            }
            Output.print("")
            return deleted
        }

        private func require(_ reports: [ConsistencyReport], fit check: ConsistencyCheck) throws {
            let guid = check.information?.spec.clusterGUID ?? ""
            for (path, report) in zip(fromReport, reports) where report.clusterGUID != guid {
                throw Failure(
                    status: .error,
                    message: "\(path) is of cluster \(report.clusterGUID), not of this one (\(guid))"
                )
            }
            let revision = check.informationRevision?.description ?? ""
            guard reports.contains(where: { $0.clusterInformationRevision == revision }) else {
                throw Failure(
                    status: .error,
                    message: "no report is of the present state of the datastore: make one while it is locked"
                )
            }
            for (path, report) in zip(fromReport, reports) where report.version != swiftletVersion {
                try object("\(path) was made by version \(report.version), not by \(swiftletVersion)")
            }
            if check.information?.spec.datastoreReady != false {
                try object("the datastore is not locked: swiftletctl datastore migrate lock")
            }
        }

        private func object(_ problem: String) throws {
            guard force else { throw Failure(status: .error, message: "\(problem); or give --force") }
            Output.error("WARNING: \(problem)")
        }
    }
}
