"""Computes the vectors of golden_test.go from the package comment, without any of
Choir's code. Run: python3 golden.py (needs the package cryptography for AES)."""
import hashlib, hmac
from decimal import Decimal, getcontext
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SETS = {
    "M": (4096, [(0x1FFFFFFFFB4001, 0xC6DE3D6E8536), (0x1FFFFFFFFA4001, 0x1EB4F20A488574)]),
    "S": (2048, [(0x1FFFFFFFFE1001, 0x16B89B6FA92C12)]),
}

def ctr(key, iv, n):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(bytes(n))

def hkdf(ikm, info):  # RFC 5869, SHA-256, no salt, 32 bytes
    prk = hmac.new(bytes(32), ikm, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()

def expand(context, n, q, chunk, limb):
    iv = chunk.to_bytes(4, "big") + limb.to_bytes(4, "big") + bytes(8)
    stream = ctr(hkdf(context, b"choir oneshot a/1"), iv, 8 * (n + 64))
    words = (int.from_bytes(stream[i:i + 8], "little") % 2**53 for i in range(0, len(stream), 8))
    return [w for w in words if w < q][:n]

def table(variance2, cut):  # 2^64 P(|x| > k), rounded; variance2 = 2 sigma^2
    getcontext().prec = 80
    rho = [(-Decimal(k * k) / Decimal(variance2)).exp() for k in range(cut + 1)]
    z = rho[0] + 2 * sum(rho[1:])
    return [int(2**64 * 2 * sum(rho[k + 1:]) / z + Decimal("0.5")) for k in range(cut)]

SECRET, ERROR = table("40.5", 36), table("81", 51)

def sample(coins, n, tails):
    out = []
    for i in range(n):
        u = int.from_bytes(coins[n // 8 + 8 * i:][:8], "little")
        x = sum(u < t for t in tails)
        out.append(-x if coins[i // 8] >> (i % 8) & 1 else x)
    return out

def reverse(i, n):
    return int(format(i, "0%db" % (n.bit_length() - 1))[::-1], 2)

def ntt(f, q, psi):  # f at psi^(2 r + 1), r the reversed digits of the place
    n = len(f)
    def fft(g, w):  # g at w^0, w^1, ...
        if len(g) == 1:
            return g
        a, b, out, x = fft(g[0::2], w * w % q), fft(g[1::2], w * w % q), [0] * len(g), 1
        for i in range(len(g) // 2):
            out[i], out[i + len(g) // 2] = (a[i] + x * b[i]) % q, (a[i] - x * b[i]) % q
            x = x * w % q
        return out
    values = fft([c * pow(psi, i, q) % q for i, c in enumerate(f)], psi * psi % q)
    return [values[reverse(i, n)] for i in range(n)]

def seal(name, kappa, width, slots, context, secret, coins, chunk, words):
    n, primes = SETS[name]
    m = sample(coins, n, ERROR)
    for i, w in enumerate(words):
        m[i // slots] += w << (kappa + width * (i % slots))
    out = b""
    for limb, (q, psi) in enumerate(primes):
        a, s, c = expand(context, n, q, chunk, limb), ntt(secret, q, psi), ntt(m, q, psi)
        c = [(x * y + z) % q for x, y, z in zip(a, s, c)]
        out += sum(x << (53 * i) for i, x in enumerate(c)).to_bytes(53 * n // 8, "little")
    return out

def stream(byte, n):
    return ctr(bytes([byte]) + bytes(31), bytes(16), n)

for name, kappa, width, slots in (("M", 19, 28, 3), ("M", 20, 21, 4), ("S", 19, 16, 2)):
    n, primes = SETS[name]
    secret = sample(stream(1, n // 8 + 8 * n), n, SECRET)
    words = [(i * 2654435761 + 12345) % 2**32 >> (32 - width) for i in range(n * slots - 5)]
    c = seal(name, kappa, width, slots, bytes(range(32)), secret, stream(2, n // 8 + 8 * n), 7, words)
    print(name, kappa, width, secret[:8], c[:16].hex(), hashlib.sha256(c).hexdigest())
for name in "MS":
    n, primes = SETS[name]
    for limb, (q, psi) in enumerate(primes):
        a = expand(bytes(range(32)), n, q, 0x01020304, limb)
        digest = hashlib.sha256(b"".join(x.to_bytes(8, "little") for x in a)).hexdigest()
        print(name, limb, [hex(x) for x in a[:3]], digest)
        x = ntt([0, 1] + [0] * (n - 2), q, psi)
        print(name, limb, "NTT of X", [hex(v) for v in x[:4]], hex(x[-1]))
# A row in which a word is rejected, found by trying chunks under the zero context.
a = expand(bytes(32), 4096, SETS["M"][1][0][0], 1468403, 0)
print("rejection", hashlib.sha256(b"".join(x.to_bytes(8, "little") for x in a)).hexdigest())
