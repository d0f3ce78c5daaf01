import CNI

extension Program {
    /// Does what a runtime asks for; DEL, CHECK and STATUS write nothing to stdout (V9).
    ///
    /// - Parameter prefixes: the value of FELIX_INTERFACEPREFIX.
    func perform(
        _ invocation: Invocation,
        _ configuration: NetworkConfiguration,
        prefixes: String?
    ) async throws(CNIError) {
        let version = configuration.cniVersion
        let deliver = { (result: NetworkResult) throws(CNIError) in
            try StandardStreams.write(try result.json(version: version))
        }
        switch (invocation, role) {
        case (.version, _): break
        case (.status(let path), _):
            try await StatusVerb(configuration: configuration, path: role == .plugin ? path : nil).run()
        case (.collectGarbage(let path), _):
            if role == .plugin { try Privileges.require() }
            Watchdog.startForChanges(after: CollectVerb.limit)
            let delegate = role == .plugin ? try IPAMDelegate(configuration, path: path) : nil
            try await CollectVerb(configuration, delegate, ownsLinks: role == .plugin, prefixes: prefixes).run()
        case (.add(let attachment, let namespacePath), .plugin):
            try Privileges.require()
            try PodNamespace.check(namespacePath, allowsOwn: attachment.allowsOwnNamespace)
            let delegate = try IPAMDelegate(required: configuration, path: attachment.path)
            Watchdog.startForChanges()
            let call = try Call(.add, attachment, configuration)
            try await AddVerb(call: call, prefixes: prefixes, namespacePath: namespacePath, delegate: delegate)
                .run(deliver: deliver)
        case (.delete(let attachment, let namespacePath), .plugin):
            try Privileges.require()
            let namespacePath = try PodNamespace.checkForDelete(
                namespacePath,
                allowsOwn: attachment.allowsOwnNamespace
            )
            Watchdog.startForChanges()
            let call = try Call(.delete, attachment, configuration)
            try await DeleteVerb(call: call, prefixes: prefixes, namespacePath: namespacePath).run()
        case (.check(let attachment, let namespacePath), .plugin):
            try Privileges.require()
            try PodNamespace.check(namespacePath, allowsOwn: attachment.allowsOwnNamespace)
            let delegate = try IPAMDelegate(required: configuration, path: attachment.path)
            Watchdog.startForChanges(after: CheckVerb.limit)
            let call = try Call(.check, attachment, configuration)
            let link = try PodLink(call, prefixes: prefixes)
            try await CheckVerb(call: call, link: link, namespacePath: namespacePath, delegate: delegate).run()
        case (.add(let attachment, _), .ipam):
            Watchdog.startForChanges()
            try await AddressVerbs(call: Call(.add, attachment, configuration)).add(deliver: deliver)
        case (.delete(let attachment, _), .ipam):
            Watchdog.startForChanges()
            try await AddressVerbs(call: Call(.delete, attachment, configuration)).delete()
        case (.check(let attachment, _), .ipam):
            Watchdog.startForChanges(after: CheckVerb.limit)
            try await AddressVerbs(call: Call(.check, attachment, configuration)).check()
        }
    }
}
