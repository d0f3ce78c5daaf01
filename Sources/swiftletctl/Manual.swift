/// What the manuals of commands have in common.
enum Manual {
    /// How a command ends, and where its store is said to be.
    ///
    /// - Parameter own: what a status means to this command alone.
    static func ends(_ own: [Failure.Status: String] = [:]) -> String {
        var meanings: [Failure.Status: String] = [
            .error: "an error; what is wrong is on stderr", .usage: "the command line is wrong",
            .unreachable: "the store cannot be reached or is busy",
        ]
        meanings.merge(own) { $1 }
        let lines = Failure.Status.allCases.compactMap { status in
            meanings[status].map { "  \(status.rawValue)  \($0)" }
        }
        return """
            EXIT STATUS
              0  done
            \(lines.joined(separator: "\n"))

            ENVIRONMENT
              DATASTORE_TYPE, SWIFTLET_DATA_DIR, ETCD_ENDPOINTS, KUBECONFIG and others
              say which store is meant; see swiftletctl --help.
            """
    }
}
