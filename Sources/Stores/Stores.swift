// Stores: which store a program uses, as its configuration or environment says, and how records get from one store into
// another. What a store does is its own module's business; what records mean is IPAM's.
