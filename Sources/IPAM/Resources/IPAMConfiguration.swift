import ClusterClient
import FoundationEssentials
import JSON

/// The settings of IPAM for the whole cluster (`reference/calico.md` 1.6).
public struct IPAMConfiguration: Hashable, Sendable {
    /// Never borrow from blocks of other nodes or of nobody.
    public var strictAffinity = false
    /// Whether nodes claim further blocks when theirs are full.
    public var autoAllocateBlocks = true
    /// How many blocks of one family a node may have; 0 for the default, see ``effectiveMaxBlocksPerHost``.
    public var maxBlocksPerHost = 0
    /// Kept for other tools.
    public var kubeVirtVMAddressPersistence: String?
    /// The least time between the release of an address and its next use.
    public var ipCooldownSeconds = 0

    public init() {}

    public static let recordKey = RecordKey.ipamConfiguration

    public var cooldown: Duration { .seconds(ipCooldownSeconds) }

    /// What ``maxBlocksPerHost`` comes to.
    public var effectiveMaxBlocksPerHost: Int { maxBlocksPerHost <= 0 ? 20 : maxBlocksPerHost }

    /// What to do about ``effectiveMaxBlocksPerHost`` being reached, after what was tried besides.
    var limitRemedy: [String] {
        let command = "swiftletctl ipam configure --max-blocks-per-host raises it"
        return strictAffinity
            ? ["strict affinity forbids to borrow", command]
            : ["other hosts have no address to lend", command + ", which takes strict affinity"]
    }

    /// How long an address rests that is released now. When the settings cannot be read it is as long as they may say:
    /// a release does not wait for them to be mended, and is not followed by a use that comes too early.
    static func cooldown(_ record: Record?) -> Duration {
        guard let record else { return IPAMConfiguration().cooldown }
        return (try? IPAMConfiguration(record))?.cooldown ?? .seconds(longestCooldown)
    }

    private static let longestCooldown = 1200

    /// Why these settings are refused; `nil` when they are not.
    public var problem: String? {
        if !(0...1_000_000).contains(maxBlocksPerHost) { return "maxBlocksPerHost is not between 0 and 1000000" }
        if !(0...Self.longestCooldown).contains(ipCooldownSeconds) {
            return "ipCooldownSeconds is not between 0 and \(Self.longestCooldown)"
        }
        if !strictAffinity, !autoAllocateBlocks {
            return "strictAffinity and autoAllocateBlocks cannot both be false"
        }
        if maxBlocksPerHost > 0, !strictAffinity { return "maxBlocksPerHost needs strictAffinity" }
        if let word = kubeVirtVMAddressPersistence, !["Enabled", "Disabled", ""].contains(word) {
            return "kubeVirtVMAddressPersistence is \"\(word)\", which is neither Enabled nor Disabled"
        }
        return nil
    }
}

extension IPAMConfiguration: Encodable {
    /// The names in etcd; the custom resources spell the first two `strictAffinity` and `autoAllocateBlocks`.
    private enum CodingKeys: String, CodingKey {
        case strictAffinity = "strict_affinity"
        case autoAllocateBlocks = "auto_allocate_blocks"
        case maxBlocksPerHost, kubeVirtVMAddressPersistence, ipCooldownSeconds
    }

    public init(json: Data) throws(MalformedRecord) {
        var strictAffinity = false
        var autoAllocateBlocks: Bool?
        var maxBlocksPerHost = 0
        var kubeVirtVMAddressPersistence: String?
        var ipCooldownSeconds = 0
        try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in
            try reader.members { (name, reader) throws(JSONReader.Failure) in
                guard !reader.null() else { return }
                switch CodingKeys(rawValue: name) {
                case .strictAffinity: strictAffinity = try reader.boolean()
                case .autoAllocateBlocks: autoAllocateBlocks = try reader.boolean()
                case .maxBlocksPerHost: maxBlocksPerHost = try reader.integer()
                case .kubeVirtVMAddressPersistence: kubeVirtVMAddressPersistence = try reader.string()
                case .ipCooldownSeconds: ipCooldownSeconds = try reader.integer()
                case nil: try reader.skip()
                }
            }
        }
        self.strictAffinity = strictAffinity
        // Calico used to leave out what is false. Both cannot be, so one that is left out alone is true.
        self.autoAllocateBlocks = autoAllocateBlocks ?? !strictAffinity
        self.maxBlocksPerHost = maxBlocksPerHost
        self.kubeVirtVMAddressPersistence = kubeVirtVMAddressPersistence
        self.ipCooldownSeconds = ipCooldownSeconds
    }

    public init(_ record: Record) throws(IPAMError) {
        do throws(MalformedRecord) {
            try self.init(json: record.value)
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
    }

    public func json() throws(IPAMError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do {
            return try encoder.encode(self)
        } catch {
            throw .invalidRequest("the IPAM configuration cannot be written as JSON: \(error)")
        }
    }
}
