import CNI
import ClusterClient
import Glibc
import JSON
import NetworkTypes
import Subprocesses

/// The IPAM plugin that `ipam.type` names, when it is not our own: a program in one of the absolute directories of
/// CNI_PATH, which is called as the runtime calls us.
struct IPAMDelegate: Sendable {
    let type: String
    private let file: String
    private let configuration: NetworkConfiguration
    private var ranges: PodRanges

    /// How long it may take when nothing else ends the call sooner.
    private static let limit = Duration.seconds(40)

    /// `nil` when the addresses come from Swiftlet's own IPAM, or from nowhere.
    ///
    /// Throws code 7 for a plugin that is not to be found, 4 where nobody says where to look (V1).
    init?(_ configuration: NetworkConfiguration, path: [String]) throws(CNIError) {
        guard let type = try configuration.ipam()?.nonEmptyString("type"), type != AddressSettings.ownType else {
            return nil
        }
        guard !type.contains("/"), type != ".", type != "..", !type.utf8.contains(0) else {
            throw CNIError(.invalidConfiguration, "\"ipam.type\" must be a program's name, not \(type.quoted)")
        }
        guard !path.isEmpty else {
            throw CNIError(
                .invalidEnvironment,
                "required env variables [CNI_PATH] missing",
                details: "\"ipam.type\" is \(type.quoted); Swiftlet's own is \(AddressSettings.ownType.quoted)"
            )
        }
        let directories = path.filter { $0.hasPrefix("/") }
        let found = directories.map { "\($0)/\(type)" }.first { access($0, X_OK) == 0 && Self.isFile($0) }
        guard let found else {
            throw CNIError(
                .invalidConfiguration,
                "the IPAM plugin \(type.quoted) of \"ipam.type\" is in no absolute directory of CNI_PATH",
                details: directories.isEmpty
                    ? "CNI_PATH has none; Swiftlet's own is \(AddressSettings.ownType.quoted)"
                    : directories.joined(separator: ", ")
            )
        }
        // It would call itself, and that one itself, without an end.
        guard type != configuration.type, type != Program.Role.plugin.rawValue, !Self.isMainPlugin(found) else {
            throw CNIError(
                .invalidConfiguration,
                "\"ipam.type\" \(type.quoted) is the main plugin itself",
                details: "Swiftlet's IPAM is \(AddressSettings.ownType.quoted)"
            )
        }
        self.type = type
        file = found
        self.configuration = configuration
        ranges = .any
    }

    func with(_ ranges: PodRanges) -> IPAMDelegate {
        var copy = self
        copy.ranges = ranges
        return copy
    }

    /// As the other, for verbs to which somebody has to give the addresses. Throws code 7 when nobody is named.
    init?(required configuration: NetworkConfiguration, path: [String]) throws(CNIError) {
        guard try configuration.ipam()?.nonEmptyString("type") != nil else {
            let details = "it is usually \(AddressSettings.ownType.quoted)"
            throw CNIError(.invalidConfiguration, "\"ipam.type\" is missing", details: details)
        }
        try self.init(configuration, path: path)
    }

    /// Whether a file is this program under a name by which it is no IPAM plugin.
    private static func isMainPlugin(_ path: String) -> Bool {
        var (own, other) = (stat(), stat())
        guard stat("/proc/self/exe", &own) == 0, stat(path, &other) == 0 else { return false }
        return own.st_ino == other.st_ino && own.st_dev == other.st_dev && Program.Role(path: path) == .plugin
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    func add(_ id: AttachmentID, namespacePath: String) throws(CNIError) -> NetworkResult {
        let output = try call(.add, id, namespacePath: namespacePath)
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: output.span)
        } catch {
            throw CNIError(.decodingFailure, "the IPAM plugin \(type.quoted) answered no JSON", details: "\(error)")
        }
        guard case .object(let object) = value else {
            throw CNIError(.decodingFailure, "the IPAM plugin \(type.quoted) answered \(value.noun)")
        }
        return try NetworkResult(decoding: ObjectReader(object), defaultVersion: configuration.cniVersion)
    }

    func delete(_ id: AttachmentID, namespacePath: String?) throws(CNIError) {
        _ = try call(.delete, id, namespacePath: namespacePath ?? "")
    }

    func check(_ id: AttachmentID, namespacePath: String) throws(CNIError) {
        _ = try call(.check, id, namespacePath: namespacePath)
    }

    /// GC or STATUS. A plugin that has no such command, and misses what the others need, has nothing against it.
    func passOn(_ command: Command) throws(CNIError) {
        do throws(CNIError) {
            _ = try call(command, nil, namespacePath: nil)
        } catch {
            guard error.code == .invalidEnvironment || error.code == .unknownContainer else { throw error }
            if command == .status { try checkVersion() }
        }
    }

    /// Throws code 1 when the plugin's answer to VERSION shows that it would refuse each ADD with this configuration (ST1).
    private func checkVersion() throws(CNIError) {
        guard let output = try? call(.version, nil, namespacePath: nil),
            case .object(let object)? = try? JSONValue(parsing: output.span),
            let versions = try? ObjectReader(object).strings("supportedVersions"),
            !versions.contains(configuration.cniVersion.rawValue)
        else { return }
        throw CNIError(
            .incompatibleVersion,
            "the IPAM plugin \(type.quoted) does not take version \(configuration.cniVersion) of the CNI specification",
            details: "it takes \(versions.joined(separator: ", "))"
        )
    }

    private func call(_ command: Command, _ id: AttachmentID?, namespacePath: String?) throws(CNIError) -> [UInt8] {
        var variables = ProcessEnvironment.own()
        variables["CNI_COMMAND"] = command.rawValue
        if let id {
            variables["CNI_CONTAINERID"] = id.containerID
            variables["CNI_IFNAME"] = id.interfaceName
            variables["CNI_NETNS"] = namespacePath ?? ""
            // 1.2: it need not know what we know.
            let arguments = variables["CNI_ARGS"].map { $0.isEmpty ? "" : ";" + $0 } ?? ""
            variables["CNI_ARGS"] = "IgnoreUnknown=1" + arguments
        }
        let left = RequestDeadline.current.map { ContinuousClock.now.duration(to: $0) }
        let program = Subprocess(
            command: file,
            environment: variables,
            input: Array(JSONValue.object(try ranges.filled(in: configuration.reader.object)).text().utf8),
            timeout: min(Self.limit, left ?? Self.limit),
            outputLimit: Self.maximumOutput,
            errors: .inherited
        )
        let ending: Subprocess.Ending
        do throws(Subprocess.Failure) {
            ending = try program.endOnCallingThread()
        } catch {
            throw CNIError(error, of: type, file)
        }
        guard ending.status == 0 else { throw CNIError(answer: ending, of: type) }
        return ending.output
    }

    /// No result is longer.
    fileprivate static let maximumOutput = 4 << 20
}

extension CNIError {
    /// What another plugin said went wrong, in its words and with its code.
    init(answer ending: Subprocess.Ending, of type: String) {
        if case .object(let object)? = try? JSONValue(parsing: ending.output.span) {
            let reader = ObjectReader(object)
            if let code = try? reader.int("code"), code > 0, let message = try? reader.string("msg") {
                self.init(Code(rawValue: code), message, details: (try? reader.string("details")) ?? "")
                return
            }
        }
        let text = String(decoding: ending.output.prefix(200), as: UTF8.self)
        self.init(silence: "exit status \(ending.status)" + (text.isEmpty ? "" : ", output \(text.quoted)"), of: type)
    }

    /// Code 11 for one that has not ended in time, 6 for one that says too much, 5 for one that cannot be run.
    init(_ failure: Subprocess.Failure, of type: String, _ file: String) {
        switch failure {
        case .timeout: self.init(.tryAgainLater, "the plugin \(type.quoted) did not answer in time", details: file)
        case .tooMuchOutput:
            let limit = IPAMDelegate.maximumOutput
            self.init(
                .decodingFailure,
                "the IPAM plugin \(type.quoted) answers more than \(limit) bytes",
                details: file
            )
        case .notFound: self = .systemCall("start", file, ENOENT)
        case .notStarted(let reason): self.init(.ioFailure, "cannot start \(file): \(reason)")
        case .status(let status): self.init(silence: "exit status \(status)", of: type)
        case .signal(let signal): self.init(silence: "signal \(signal)", of: type)
        }
    }

    private init(silence details: String, of type: String) {
        self.init(
            .ioFailure,
            "the IPAM plugin \(type.quoted) failed without saying why",
            details: details
        )
    }
}
