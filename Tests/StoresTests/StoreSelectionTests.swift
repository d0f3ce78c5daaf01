import Testing

@testable import Reports

@Suite struct StoreSelectionTests {
    @Test(
        arguments: [
            ([:], "/var/lib/swiftlet"),
            (["DATASTORE_TYPE": "", "SWIFTLET_DATA_DIR": ""], "/var/lib/swiftlet"),
            (["DATASTORE_TYPE": "local", "SWIFTLET_DATA_DIR": "/data"], "/data"),
        ] as [([String: String], String)]
    )
    func theLocalStoreIsTheDefault(_ environment: [String: String], _ directory: String) throws {
        #expect(try StoreSelection(environment: environment) == .local(dataDirectory: directory))
    }

    @Test(
        arguments: [
            (["DATASTORE_TYPE": "etcdv3"], "etcdv3"), (["DATASTORE_TYPE": "kubernetes"], "kubernetes"),
            (["DATASTORE_TYPE": "Local"], "no store"), (["SWIFTLET_DATA_DIR": "data"], "absolute"),
        ] as [([String: String], String)]
    )
    func whatSelectsNoStoreIsNamed(_ environment: [String: String], _ part: String) throws {
        let problem = try #require(throws: StoreSelection.Problem.self) {
            try StoreSelection(environment: environment)
        }
        #expect(problem.description.contains(part))
    }
}
