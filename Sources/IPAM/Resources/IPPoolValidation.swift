import NetworkTypes

extension IPPool {
    /// Why this cannot be a pool (1.4); `nil` when it can.
    public var problem: String? {
        if let nameProblem = Self.problem(ofName: name) { return nameProblem }
        if let shapeProblem { return shapeProblem }
        if let linkLocal = Self.linkLocal.first(where: cidr.overlaps) { return "\(cidr) overlaps \(linkLocal)" }
        if family == .ipv6, spec.ipipMode != .never { return "ipipMode is for IPv4 only" }
        if spec.ipipMode != .never, spec.vxlanMode != .never { return "ipipMode and vxlanMode exclude each other" }
        if spec.allowedUses.contains(.loadBalancer) {
            if spec.allowedUses.contains(where: { $0 != .loadBalancer }) {
                return "use LoadBalancer excludes every other use"
            }
            if spec.ipipMode != .never || spec.vxlanMode != .never {
                return "a pool for LoadBalancer has neither ipipMode nor vxlanMode"
            }
        }
        return selectorProblem
    }

    /// Why nobody can tell whom the pool is for (1.9); `nil` when its selectors can be read.
    var selectorProblem: String? {
        for selector in [spec.nodeSelector, spec.namespaceSelector] {
            do throws(SelectorError) {
                _ = try Selector(selector)
            } catch {
                return error.description
            }
        }
        return nil
    }

    /// Why this cannot be cut into blocks, whoever wrote it; `nil` when it can.
    var shapeProblem: String? {
        if !cidr.isMasked { return "\(cidr) has host bits; the prefix is \(cidr.masked)" }
        let sizes = family == .ipv4 ? 20...32 : 116...128
        if !sizes.contains(spec.blockSize) {
            return "block size \(spec.blockSize) is not between \(sizes.lowerBound) and \(sizes.upperBound)"
        }
        if cidr.prefixLength > spec.blockSize {
            return "\(cidr) is smaller than one block of /\(spec.blockSize)"
        }
        return nil
    }

    /// What cannot be changed in a pool that exists, with this being the new version; `nil` when nothing of it was.
    public func immutableChange(from old: IPPool) -> String? {
        if cidr.masked != old.cidr.masked { return "its cidr is \(old.cidr), not \(cidr)" }
        if spec.blockSize != old.spec.blockSize {
            return "its blockSize is \(old.spec.blockSize), not \(spec.blockSize)"
        }
        if old.spec.allowedUses == [.loadBalancer], spec.allowedUses != [.loadBalancer] {
            return "its allowedUses are LoadBalancer, not \(spec.allowedUses.map(\.rawValue).joined(separator: ", "))"
        }
        return nil
    }

    private static let linkLocal = [
        CIDR(.v4(IPv4Address(169, 254, 0, 0)), prefixLength: 16),
        CIDR(.v6(IPv6Address(high: 0xfe80 << 48, low: 0)), prefixLength: 10),
    ].compactMap { $0 }

    /// Why this cannot be the name of a pool or a reservation; `nil` when it can.
    static func problem(ofName name: String) -> String? {
        guard !isValidName(name) else { return nil }
        return "\"\(name)\" is no valid name: lower-case letters, digits, - and . are, up to 253 of them"
    }

    /// A DNS subdomain name, as Kubernetes wants the names of objects.
    private static func isValidName(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: false
            }
        }
        guard name.utf8.count <= 253 else { return false }
        return name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }
}
