import ClusterClient

extension IPAMAdministration {
    /// Changes the settings of IPAM for the whole cluster, and writes them for the first time where there are none.
    ///
    /// - Throws: ``IPAMError/invalidRequest(_:)`` for settings that cannot be together (1.6); nothing is changed then.
    @discardableResult
    public func configure(
        _ change: (inout IPAMConfiguration) -> Void
    ) async throws(IPAMError) -> IPAMConfiguration {
        try await attempting { () async throws(AttemptError) in
            let record = try await read([.record(IPAMConfiguration.recordKey)]).first?.first
            let (configuration, json) = try deciding { () throws(IPAMError) in
                var configuration = IPAMConfiguration()
                if let record { configuration = try IPAMConfiguration(record) }
                change(&configuration)
                if let problem = configuration.problem { throw .invalidRequest(problem) }
                return (configuration, try configuration.json())
            }
            if let record {
                guard record.value != json else { return configuration }
                try await commit([.update(IPAMConfiguration.recordKey, json, record.revision)])
            } else {
                try await commit([.create(IPAMConfiguration.recordKey, json)])
            }
            return configuration
        }
    }
}
