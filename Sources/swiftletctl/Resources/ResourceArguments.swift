import ArgumentParser
import IPAM

/// What the commands that work on resources have in common.
enum ResourceManual {
    static let kinds = """
        KINDS
          IPPool             A range of addresses, which is cut into blocks.
          IPReservation      Addresses that are not chosen for pods.
          IPAMConfiguration  The settings of IPAM; there is one, named "default".
          Node               Name and labels of a node, for node selectors, where
                             Kubernetes does not keep the nodes.
        """

    static let documents = """
        Documents are those of Calico, apiVersion projectcalico.org/v3, in YAML or JSON; several in a file, and lists \
        of them (kind List, IPPoolList …).
        """
}

/// `-f FILE`.
struct ResourceFiles: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("filename")],
        help: ArgumentHelp(
            "The file to read, or a directory of *.yaml, *.yml and *.json; - for stdin. May be repeated.",
            valueName: "file"
        ),
        completion: .file(extensions: ["yaml", "yml", "json"])
    )
    var files: [String] = []

    /// Puts all resources of the files into the store, and tells what became of each.
    func put(into store: StoreOptions, existing: IPAMAdministration.Existing) async throws {
        let documents = try ResourceDocuments(files)
        for entry in documents.entries { try store.requireKept(entry.resource.kind, at: entry.place) }
        try await store.administer(creating: true) { administration in
            try await documents.requirePoolsFit(administration, existing: existing)
            if existing == .refuse { try await documents.requireNew(administration) }
            for entry in documents.entries {
                let resource = entry.resource
                try await entry.locating {
                    let outcome = try await administration.put(resource, existing: existing)
                    Output.print("\(resource.title) \(outcome.rawValue)")
                }
            }
        }
    }

    func requireSome() throws {
        if files.isEmpty { throw ValidationError("Missing expected argument '-f <file>'") }
    }
}

extension StoreOptions {
    /// Nodes are not kept where Kubernetes keeps them.
    func requireKept(_ kind: ManagedResource.Kind, at place: String? = nil) throws {
        guard kind == .node, try selection().type == .kubernetes else { return }
        let prefix = place.map { "\($0): " } ?? ""
        throw Failure(
            status: .error,
            message: prefix + "nodes are Kubernetes' own; change their labels there: kubectl label node NAME KEY=VALUE"
        )
    }
}

/// A kind of resource as people call it.
struct ResourceKindArgument: ExpressibleByArgument {
    let kind: ManagedResource.Kind

    init?(argument: String) {
        guard let kind = ManagedResource.Kind(name: argument) else { return nil }
        self.kind = kind
    }

    /// As it is usually given.
    static var allValueStrings: [String] { ManagedResource.Kind.allCases.map { $0.rawValue.lowercased() + "s" } }

    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

extension ResourceDocuments.Entry {
    /// Does something with it; what is wrong with it is told with its place.
    func locating(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as IPAMError {
            let failure = Failure(error)
            guard failure.status == .error else { throw failure }
            throw Failure(status: .error, message: "\(place): \(failure.message)")
        }
    }
}

extension ManagedResource {
    /// `ippool/default`.
    var title: String { "\(kind.rawValue.lowercased())/\(name)" }
}

extension Failure {
    static func notFound(_ kind: ManagedResource.Kind, _ name: String) -> Failure {
        let remedy =
            kind == .configuration
            ? "; the default settings are in force, see swiftletctl ipam show --show-configuration" : ""
        return Failure(status: .error, message: "\(kind.rawValue) \(name) does not exist\(remedy)")
    }
}
