import ArgumentParser
import ClusterClient
import Glibc
import IPAM
import Stores
import Version

/// The store that a command works on: what the environment selects, or a file.
struct StoreOptions: ParsableArguments {
    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp("A settings file of calicoctl, in the place of the environment.", valueName: "file"),
        completion: .file(extensions: ["cfg", "yaml", "yml", "json"])
    )
    var config: String?

    @Option(
        help: ArgumentHelp("How to reach the Kubernetes API, in the place of KUBECONFIG.", valueName: "file"),
        completion: .file()
    )
    var kubeconfig: String?

    @Option(help: ArgumentHelp("The context of the kubeconfig, in the place of its current one.", valueName: "name"))
    var context: String?

    /// Does something with the store, and says how it failed.
    ///
    /// - Parameter creating: whether a store that is not there yet may be made. Otherwise a data directory that is not
    ///   there is a mistake.
    func use(creating: Bool = false, _ body: (any Datastore) async throws -> Void) async throws {
        let store = try open(creating: creating)
        try await Failure.translating { try await body(store) }
    }

    /// Does something to the records of the store. Which addresses Pods have is seen by their status in a cluster, and
    /// for another store when a kubeconfig is given.
    func administer(
        creating: Bool = false,
        _ body: (IPAMAdministration) async throws -> Void
    ) async throws {
        try await use(creating: creating) { store in
            var administration = IPAMAdministration(datastore: store)
            let variables = try variables()
            if let cluster = try cluster() {
                administration.addressesInUseElsewhere = { () async throws(DatastoreError) in
                    try await cluster.podAddresses(environment: variables, program: Self.program)
                }
            }
            try await body(administration)
        }
    }

    /// The cluster that knows which addresses Pods have.
    private func cluster() throws -> StoreSelection.KubernetesAccess? {
        if case .kubernetes(let access) = try selection() { return access }
        guard kubeconfig != nil || context != nil else { return nil }
        return StoreSelection.KubernetesAccess(kubeconfig: kubeconfig, context: context)
    }

    /// What servers are told who asks.
    static let program = "swiftletctl/\(swiftletVersion)"

    /// The settings of the store, with what credentials may be found by.
    func variables() throws -> [String: String] {
        var variables = Environment.variables
        if let config { variables = try Environment.withoutStore.merging(StoreFile(path: config).variables) { $1 } }
        if let kubeconfig { variables[StoreSetting.kubeconfig.environmentName] = kubeconfig }
        return variables
    }

    func selection() throws -> StoreSelection {
        let variables = try variables()
        do throws(StoreSelection.Problem) {
            let selection = try StoreSelection(environment: variables)
            guard case .kubernetes(var access) = selection else { return selection }
            access.context = context
            return .kubernetes(access)
        } catch {
            let source = config.map { "\($0): " } ?? ""
            throw Failure(status: .error, message: source + error.description)
        }
    }

    private func open(creating: Bool) throws -> any Datastore {
        let selection = try selection()
        if case .local(let directory) = selection, !creating, access(directory, F_OK) != 0 {
            throw Failure(
                status: .unreachable,
                message: "\(directory), the data directory of the local store: \(Output.systemError)"
                    + "; SWIFTLET_DATA_DIR names another, DATASTORE_TYPE another kind of store"
            )
        }
        let variables = try variables()
        do throws(DatastoreError) {
            return try selection.open(environment: variables, program: Self.program)
        } catch {
            throw Failure(status: .error, message: error.message)
        }
    }
}
