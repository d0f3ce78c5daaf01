import ArgumentParser
import ClusterClient
import Glibc
import IPAM
import Reports
import Stores

/// The command line of `swiftletctl`. What it prints is made by Reports.
@main
struct Swiftletctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftletctl",
        abstract: "Shows what Swiftlet has assigned and programmed, puts it right, and moves records between stores.",
        discussion: """
            ENVIRONMENT
              DATASTORE_TYPE     Which store: "local", "etcdv3" or "kubernetes". Default:
                                 etcdv3 when ETCD_ENDPOINTS is set, else local.
              SWIFTLET_DATA_DIR  The data directory of the local store, "data_dir" in the
                                 plugin's configuration. Default: /var/lib/swiftlet.
              ETCD_ENDPOINTS     The members of etcd, separated by commas.
              ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE
                                 Whom to trust, and who we are, over TLS.
              ETCD_USERNAME, ETCD_PASSWORD
                                 For an etcd with authentication.
              KUBECONFIG         How to reach the Kubernetes API. Default:
                                 ~/.kube/config, or a Pod's service account.
              K8S_API_ENDPOINT   The API server's URL, in the place of the kubeconfig's.
              CALICO_API_GROUP   In which form Calico keeps its objects in the cluster:
                                 "crd.projectcalico.org" (the default) or
                                 "projectcalico.org".

            EXIT STATUS
              0  done
              1  an error; what is wrong is on stderr
              2  the command line is wrong
              3  ipam check found problems
              4  the address asked for is not assigned
              5  the store cannot be reached or is busy, or no swiftlet-proxy answers

            COMPLETION
              swiftletctl --generate-completion-script bash
                                 prints a script for the shell: bash, zsh or fish.
            """,
        subcommands: [
            IPAMCommand.self, ProxyCommand.self, GetCommand.self, ApplyCommand.self, CreateCommand.self,
            DeleteCommand.self, DatastoreCommand.self, VersionCommand.self,
        ]
    )

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            Output.error(failure.message)
            Glibc.exit(failure.status.rawValue)
        } catch let error where exitCode(for: error).isSuccess {
            Output.print(fullMessage(for: error))  // --help
        } catch {
            Output.error(fullMessage(for: error))
            Glibc.exit(Failure.Status.usage.rawValue)
        }
    }
}

/// Why a command ends otherwise than well.
struct Failure: Error {
    enum Status: Int32 {
        case error = 1
        case usage = 2
        case problemsFound = 3
        case notAssigned = 4
        /// The store, or the proxy.
        case storeUnreachable = 5
    }

    let status: Status
    /// For stderr; empty when everything has been said.
    let message: String
}

extension Failure {
    init(_ error: DatastoreError) {
        switch error.reason {
        case .unavailable, .failed: self.init(status: .storeUnreachable, message: error.description)
        case .alreadyExists, .conflict, .notFound, .corrupt, .invalidKey:
            self.init(status: .error, message: error.description)
        }
    }
}

extension Failure {
    /// Does what a command consists of, with what goes wrong as its end.
    static func translating(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as DatastoreError {
            throw Failure(error)
        } catch IPAMError.datastore(let error) {
            throw Failure(error)
        } catch let error as IPAMError {
            throw Failure(status: .error, message: error.description)
        } catch let error as ImportRecords.Problem {
            throw Failure(status: .error, message: error.description)
        }
    }
}

/// Text on the standard streams.
enum Output {
    /// Whether stdout is a terminal that shows colours, and its user wants them (https://no-color.org).
    static var isColoured: Bool {
        func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        return isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR").isEmpty && variable("TERM") != "dumb"
    }

    /// Prints text that ends with its own newline, or adds one. Throws ``Failure`` when stdout takes no more, as a full
    /// disk or a reader that went away.
    static func print(_ text: String) {
        write(text.hasSuffix("\n") ? text : text + "\n", to: STDOUT_FILENO)
    }

    static func error(_ text: String) {
        guard !text.isEmpty else { return }
        write(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // Nobody reads any more, which SIGPIPE usually says; or the disk is full.
                Glibc.exit(Failure.Status.error.rawValue)
            }
            rest = rest.dropFirst(count)
        }
    }
}
