import CNI
import JSON
import NetworkTypes

/// What the annotations of a Pod and of its Namespace ask for (1.3).
///
/// Those that only an agent acts upon (bandwidth) are none of the plugin's business.
struct PodAnnotations: Hashable, Sendable {
    /// `ipAddrs`: addresses that IPAM is to assign.
    var addresses: [IPAddress] = []
    /// `ipAddrsNoIpam`: addresses that the Pod gets without IPAM hearing of it.
    var addressesWithoutIPAM: [IPAddress] = []
    /// `ipv4pools` and `ipv6pools`; `nil` where nothing is said.
    var pools: [IPFamily: [String]] = [:]
    /// `ipFamilies`
    var families: Set<IPFamily>?
    /// `hwAddr`
    var mac: MACAddress?
    /// `floatingIPs`: addresses that the agent translates to the Pod's; recorded for it.
    var floatingAddresses: [IPAddress] = []
    /// `allowedSourcePrefixes`: what the Pod may send from besides its addresses; recorded for the agent.
    var allowedSources: [CIDR] = []

    static let none = PodAnnotations()

    private init() {}

    /// Throws code 6 for a value that cannot be read, 7 for one that makes no sense.
    ///
    /// - Parameters:
    ///   - pod: the Pod's annotations, which win.
    ///   - namespace: its Namespace's, of which only some count.
    init(pod: [String: String], namespace: [String: String]) throws(CNIError) {
        guard !pod.isEmpty || !namespace.isEmpty else { return }
        addresses = try Annotation.addresses.addresses(in: pod)
        addressesWithoutIPAM = try Annotation.addressesWithoutIPAM.addresses(in: pod)
        guard addresses.isEmpty || addressesWithoutIPAM.isEmpty else {
            throw CNIError(
                .invalidConfiguration,
                "the Pod has both of the annotations \(Annotation.addresses) and \(Annotation.addressesWithoutIPAM)",
                details: "take one of them away"
            )
        }
        // 1.3: the Pod's word replaces the Namespace's as a whole.
        for annotations in [namespace, pod] {
            for (family, annotation) in [(IPFamily.ipv4, Annotation.ipv4Pools), (.ipv6, .ipv6Pools)] {
                guard let names = try annotation.strings(in: annotations) else { continue }
                guard !names.isEmpty, !names.contains("") else {
                    throw annotation.error(.invalidConfiguration, "names no pool", names.description)
                }
                pools[family] = names
            }
            if let asked = try Annotation.families.families(in: annotations) { families = asked }
        }
        mac = try Annotation.hardwareAddress.mac(in: pod)
        floatingAddresses = try Annotation.floatingAddresses.values(in: pod)
        allowedSources = try Annotation.allowedSources.values(in: pod)
    }
}

/// An annotation that the plugin understands.
enum Annotation: String, CustomStringConvertible {
    case addresses = "ipAddrs"
    case addressesWithoutIPAM = "ipAddrsNoIpam"
    case ipv4Pools = "ipv4pools"
    case ipv6Pools = "ipv6pools"
    case families = "ipFamilies"
    case hardwareAddress = "hwAddr"
    case floatingAddresses = "floatingIPs"
    case allowedSources = "allowedSourcePrefixes"

    /// Written out, as reflection takes long.
    var description: String { "cni.projectcalico.org/" + rawValue }

    func error(_ code: CNIError.Code, _ problem: String, _ value: String) -> CNIError {
        CNIError(code, "the annotation \(self) \(problem)", details: value.quoted)
    }

    /// A JSON array of strings; `nil` when the annotation is missing or empty.
    func strings(in annotations: [String: String]) throws(CNIError) -> [String]? {
        guard let text = annotations[description], !text.isEmpty else { return nil }
        guard let strings = JSONValue.strings(parsing: text) else {
            throw error(.decodingFailure, "must be a JSON array of strings", text)
        }
        return strings
    }

    /// A list of addresses or prefixes, none twice.
    func values<Value: NetworkValue & Hashable>(in annotations: [String: String]) throws(CNIError) -> [Value] {
        var values: [Value] = []
        for text in try strings(in: annotations) ?? [] {
            guard let value = Value(text) else { throw error(.decodingFailure, "must have \(Value.noun)", text) }
            if !values.contains(value) { values.append(value) }
        }
        return values
    }

    /// At most one address of each family.
    func addresses(in annotations: [String: String]) throws(CNIError) -> [IPAddress] {
        guard let texts = try strings(in: annotations) else { return [] }
        var addresses: [IPAddress] = []
        for text in texts {
            guard let address = IPAddress(text) else { throw error(.decodingFailure, "has no IP address", text) }
            guard !addresses.contains(where: { $0.family == address.family }) else {
                throw error(.invalidConfiguration, "has more than one \(address.family) address", "\(texts)")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw error(.invalidConfiguration, "has no address", "[]") }
        return addresses
    }

    func families(in annotations: [String: String]) throws(CNIError) -> Set<IPFamily>? {
        guard let words = try strings(in: annotations) else { return nil }
        var families: Set<IPFamily> = []
        for word in words {
            switch word {
            case "IPv4": families.insert(.ipv4)
            case "IPv6": families.insert(.ipv6)
            default: throw error(.invalidConfiguration, "must have IPv4 and IPv6 only", word)
            }
        }
        guard !families.isEmpty else { throw error(.invalidConfiguration, "has no IP family", "[]") }
        return families
    }

    func mac(in annotations: [String: String]) throws(CNIError) -> MACAddress? {
        guard let text = annotations[description], !text.isEmpty else { return nil }
        guard let mac = MACAddress(text) else { throw error(.decodingFailure, "is no MAC address", text) }
        guard !mac.isMulticast else { throw error(.invalidConfiguration, "is the MAC address of a group", text) }
        return mac
    }
}
