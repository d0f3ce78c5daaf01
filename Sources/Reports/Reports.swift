// Reports: what `swiftletctl` prints, as text: tables in the shape of calicoctl (`reference/calico.md` 7.2) and JSON.
// Functions of values; reading the values is IPAM's work, and where the text goes the program decides.
