"""A certificate authority made for the tls probe, and a server that it vouches for; nobody else trusts either.

Made once, because images need not have a tool to make certificates: elliptic keys, valid from 2020 to 2120, with all
extensions that strict verification asks for. The authority's own key was thrown away.
"""

SERVER_NAME = "probe.matrix.test"

CA_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARqgAwIBAgIBATAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRtYXRyaXgg
cHJvYmUgdGVzdCBDQTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFow
HzEdMBsGA1UEAwwUbWF0cml4IHByb2JlIHRlc3QgQ0EwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAARitwqy8DcPAlGkU5BCwiDUWnO6ouCIzO05/7+4rkiStU4w24i6
HpeJw1A0y3sh/8vSAhoQSkZdP90O8Q2zJdOno0UwQzASBgNVHRMBAf8ECDAGAQH/
AgEAMA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUwKkwtiX2E1vJrtvX9IZLBnAA
+hQwCgYIKoZIzj0EAwIDSQAwRgIhAKLtGi7b3EcCeKggs+vFxSo/fqvQL7EbTPU3
RzLDsa7cAiEAxmXMNA0g2UNwv95JXS2x6kxPcR1y9qfBlqoHYzfPB98=
-----END CERTIFICATE-----
"""

SERVER_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBwjCCAWegAwIBAgIBAjAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRtYXRyaXgg
cHJvYmUgdGVzdCBDQTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFow
HDEaMBgGA1UEAwwRcHJvYmUubWF0cml4LnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR7vS8BVhrMJ+E4TM41LqQGe5bFYMQAJG9weg+R82SRSjYD2VCwaYaq
lPY1pluISg5hv40uf0Lt1zogsO90v3WOo4GUMIGRMAwGA1UdEwEB/wQCMAAwDgYD
VR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMBwGA1UdEQQVMBOCEXBy
b2JlLm1hdHJpeC50ZXN0MB0GA1UdDgQWBBRUjrzbNdycUk+deDOer17s94D5lDAf
BgNVHSMEGDAWgBTAqTC2JfYTW8mu29f0hksGcAD6FDAKBggqhkjOPQQDAgNJADBG
AiEAh4Onx6Obq5/aPKDTDs0rxNwyf+zPq9fGFTjIHfZv4cQCIQCrco0Q/AU97dYj
szveFTggPNDRxh/YZpDTIclbhgZPrg==
-----END CERTIFICATE-----
"""

# A key that is meant to be public: it proves the identity of no server but the probe's own.
SERVER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRT24I8MZA+Y/ngBS
bleaKE7NbwzFymR8XHakW2yd6kqhRANCAAR7vS8BVhrMJ+E4TM41LqQGe5bFYMQA
JG9weg+R82SRSjYD2VCwaYaqlPY1pluISg5hv40uf0Lt1zogsO90v3WO
-----END PRIVATE KEY-----
"""
