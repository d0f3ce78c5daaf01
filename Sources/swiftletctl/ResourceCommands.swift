import ArgumentParser
import ClusterClient
import IPAM
import JSON
import Reports
import YAML

/// `apply`, `create`, `get` and `delete` of the resources that IPAM goes by.
private let resourceKinds = """
    KINDS
      IPPool             A range of addresses, which is cut into blocks.
      IPReservation      Addresses that are not chosen for pods.
      IPAMConfiguration  The settings of IPAM; there is one, named "default".
      Node               Name and labels of a node, for node selectors, where
                         Kubernetes does not keep the nodes.

    Documents are those of Calico, apiVersion projectcalico.org/v3, in YAML or JSON.
    """

/// What `apply` and `create` have in common.
struct ResourceFiles: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("filename")],
        help: ArgumentHelp("The file to read; - for stdin. May be repeated.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml", "json"])
    )
    var files: [String]

    /// Puts all resources of the files into the store, and tells what became of each.
    func put(existing: IPAMAdministration.Existing) async throws {
        let resources = try ResourceDocuments.read(files)
        let store = try Store.open(creating: true)
        try await Failure.translating {
            let administration = IPAMAdministration(datastore: store)
            for resource in resources {
                let outcome = try await administration.put(resource, existing: existing)
                Output.print("\(resource.kind.rawValue.lowercased())/\(resource.name) \(outcome.rawValue)")
            }
        }
    }
}

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make resources what a file says, whether they exist or not.",
        discussion: """
            Documents are checked first, all of them, so that a mistake in one changes nothing. Of a pool that exists, \
            cidr and blockSize cannot be changed.

            \(resourceKinds)

            EXAMPLES
              swiftletctl apply -f pools.yaml
              swiftletctl get ippool default -o yaml > pool.yaml
              $EDITOR pool.yaml
              swiftletctl apply -f pool.yaml
            """
    )

    @OptionGroup var resources: ResourceFiles

    func run() async throws { try await resources.put(existing: .replace) }
}

struct CreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create the resources of a file; one that exists already is an error.",
        discussion: """
            \(resourceKinds)

            EXAMPLES
              swiftletctl create -f pool.yaml
            """
    )

    @OptionGroup var resources: ResourceFiles

    @Flag(help: "Leave a resource that exists already as it is; that is no error.")
    var skipExisting = false

    func run() async throws { try await resources.put(existing: skipExisting ? .keep : .refuse) }
}

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show resources.",
        discussion: """
            All of a kind, in the order of their names, or the one with a name; exits 1 when that does not exist. \
            What is printed as yaml or json can be given to apply.

            \(resourceKinds)

            EXAMPLES
              swiftletctl get ippools
              swiftletctl get ippool default -o yaml
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, yaml
    }

    @Argument(
        help: "The kind of resource, in any case, singular or plural.",
        completion: .list(ResourceDocuments.kindNames)
    )
    var kind: String

    @Argument(help: "The name of the resource; all of the kind without it.")
    var name: String?

    @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
    var output = Format.table

    func run() async throws {
        let kind = try ResourceDocuments.kind(kind)
        let store = try Store.open()
        try await Failure.translating {
            let found = try await IPAMAdministration(datastore: store).resources(kind, named: name)
            if let name, found.isEmpty { throw Failure.notFound(kind, name) }
            switch output {
            case .table: Output.print(ResourceTable.text(kind, found))
            case .json: Output.print(document(found, kind).text(indentation: 2))
            case .yaml: Output.print(document(found, kind).yaml)
            }
        }
    }

    /// One by its name is printed as itself, several as a list.
    private func document(_ resources: [ManagedResource], _ kind: ManagedResource.Kind) -> JSONValue {
        if name != nil, let only = resources.first { return only.document }
        return [
            "apiVersion": .string(IPPool.apiVersion), "kind": .string(kind.rawValue + "List"),
            "items": .array(resources.map(\.document)),
        ]
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete resources.",
        discussion: """
            The addresses of a pool that is deleted stay with their pods until these end. Without its \
            IPAMConfiguration a cluster has the default settings.

            \(resourceKinds)

            EXAMPLES
              swiftletctl delete ippool old-pool
            """
    )

    @Argument(
        help: "The kind of resource, in any case, singular or plural.",
        completion: .list(ResourceDocuments.kindNames)
    )
    var kind: String

    @Argument(help: "The names of the resources.")
    var names: [String]

    @Flag(help: "A resource that does not exist is no error.")
    var ignoreNotFound = false

    func run() async throws {
        let kind = try ResourceDocuments.kind(kind)
        let store = try Store.open()
        try await Failure.translating {
            let administration = IPAMAdministration(datastore: store)
            for name in names {
                if try await administration.delete(kind, named: name) {
                    Output.print("\(kind.rawValue.lowercased())/\(name) deleted")
                } else if !ignoreNotFound {
                    throw Failure.notFound(kind, name)
                }
            }
        }
    }
}

extension Failure {
    fileprivate static func notFound(_ kind: ManagedResource.Kind, _ name: String) -> Failure {
        Failure(status: .error, message: "\(kind.rawValue) \(name) does not exist")
    }
}

/// Resources as people write them.
private enum ResourceDocuments {
    /// As `get` and `delete` are usually given them.
    static var kindNames: [String] { ManagedResource.Kind.allCases.map { $0.rawValue.lowercased() + "s" } }

    static func kind(_ name: String) throws -> ManagedResource.Kind {
        guard let kind = ManagedResource.Kind(name: name) else {
            let known = ManagedResource.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(status: .usage, message: "\"\(name)\" is none of \(known)")
        }
        return kind
    }

    /// The resources of all documents of all files; lists are opened.
    static func read(_ files: [String]) throws -> [ManagedResource] {
        var resources: [ManagedResource] = []
        for file in files {
            let name = file == "-" ? "stdin" : file
            do {
                let bytes = try RecordInput(file).all()
                try bytes.withUnsafeBufferPointer { buffer in
                    try YAMLConverter.forEachDocument(of: buffer) { json, line in
                        try append(try JSONValue(parsing: json.span), "\(name):\(line)", to: &resources)
                    }
                }
            } catch let error as YAMLError {
                throw Failure(status: .error, message: "\(name): \(error)")
            } catch let error as JSONReader.Failure {
                throw Failure(status: .error, message: "\(name): \(error)")
            }
        }
        guard !resources.isEmpty else {
            throw Failure(status: .error, message: "no resource in \(files.joined(separator: ", "))")
        }
        return resources
    }

    private static func append(_ value: JSONValue, _ place: String, to resources: inout [ManagedResource]) throws {
        guard value != .null else { return }
        if case .object(let object) = value, case .string(let kind)? = object["kind"], kind.hasSuffix("List"),
            case .array(let items)? = object["items"]
        {
            for item in items { try append(item, place, to: &resources) }
            return
        }
        do throws(ManagedResource.Malformed) {
            resources.append(try ManagedResource(document: value))
        } catch {
            throw Failure(status: .error, message: "\(place): \(error)")
        }
    }
}
