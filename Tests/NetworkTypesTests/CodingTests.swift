import Foundation
import NetworkTypes
import Testing

@Suite struct CodingTests {
    struct Everything: Codable, Equatable {
        let address: IPAddress
        let v4: IPv4Address
        let v6: IPv6Address
        let cidr: CIDR
        let mac: MACAddress
    }

    @Test func valuesAreTheirText() throws {
        let json = #"{"address":"::1","v4":"1.2.3.4","v6":"fd00::1","cidr":"10.0.0.0/8","mac":"ee:ee:ee:ee:ee:ee"}"#
        let value = try JSONDecoder().decode(Everything.self, from: Data(json.utf8))
        #expect(value.cidr == CIDR("10.0.0.0/8"))
        #expect(try JSONDecoder().decode(Everything.self, from: JSONEncoder().encode(value)) == value)
    }

    @Test func complaintNamesTheText() {
        #expect {
            try JSONDecoder().decode([CIDR].self, from: Data(#"["10.0.0.0/99"]"#.utf8))
        } throws: { "\($0)".contains("10.0.0.0/99") && "\($0)".contains("not a CIDR") }
    }

    @Test func transportProtocols() {
        #expect(TransportProtocol("TCP") == .tcp)
        #expect(TransportProtocol("tcp") == nil)
        #expect(TransportProtocol.allCases.map(\.description) == ["TCP", "UDP", "SCTP"])
    }
}
