"""Computes the digests of golden_test.go without any of Choir's code: the canonical
encoding (comment of secagg.Encoder) and the labels, written down a second time.
Run: python3 golden.py"""
from hashlib import sha256
from struct import pack
def var(n):
    out = b""
    while n > 127: out += bytes([n % 128 + 128]); n //= 128
    return out + bytes([n])
def lst(*items): return b"".join(var(len(i)) + i for i in items)
def num(n): return n.to_bytes((n.bit_length() + 7) // 8, "big")
def flt(x): return pack(">d", x)
def rec(**fields):  # f1=..., f2=..., absent if empty
    out = b""
    for k, v in fields.items():
        v = v.encode() if isinstance(v, str) else num(v) if isinstance(v, int) else v
        if v: out += var(int(k[1:])) + var(len(v)) + v
    return out
def hash(label, *parts): return sha256(rec(f1=label, f2=lst(*parts))).digest()

def member(name, b): return rec(f1=name, f2=bytes([b]) * 32, f3=bytes([b + 1]) * 64)
members = [member("alice", 0x10), member("bob", 0x20), member("carol-2.x_y", 0x30)]
root = hash("choir roster/1", *members)
round = rec(f1="job", f2=3, f3=2)
extra = lambda name: rec(f1=name, f2=4096)
tensor = lambda name, *shape: rec(f1=name, f2=lst(*(rec(f1=d) for d in shape)))
def terms(scheme=True):
    s = {"f3": "pairwise", "f4": rec(f1=50000, f2=300000, f4=3)} if scheme else {}
    return rec(f1="choir.plan/1", f2="job", **s, f5=10, f6="none", f7=1,
        f8=rec(f1=52, f2=20, f3=flt(10), f4=18, f5=131070, f6=flt(13107), f8=23, f9=lst(extra("weight"), extra("eval_weight"))),
        f9=lst(tensor("w", 12, 4), tensor("b", 4)),
        f10=rec(f1="softmax", f2=1, f3=10, f4=flt(0.1), f5=flt(0.9), f6=flt(0.01), f7=50), f11="weights", f12=1)
rest, model = bytes([2]) * 32, bytes([1]) * 32
task = rec(f1=round, f2=terms(), f3=rest, f4=model, f5=300)
plan = hash("choir.plan/1", terms(), rest)
context = hash("choir context/1", rec(f1=round, f2=plan, f3=model, f4=root, f6="pairwise", f7=rec(f1=50000, f2=300000, f4=3)))
committee = hash("choir context/1", rec(f1=round, f2=plan, f3=model, f4=root, f5=bytes([5]) * 32, f6="pairwise", f7=rec(f1=50000, f2=300000, f4=3)))
for n, v in dict(roster=root, task=sha256(task).digest(), plan=plan, seed=hash("rotation", terms(False)), context=context, committee=committee,
        statement=hash("choir statement/1 upload", context, b"part"), enrolment=hash("choir enrolment/1", b"alice", bytes([0x10]) * 32)).items():
    print(n, v.hex())
# The same task under distributed noise: terms with the promise, task and context with clip norm and ledger.
noise = rec(f1=2, f2=1, f3=flt(12), f4=10, f5=2, f6=100, f7=flt(1e-5), f8=flt(0.01), f9=6, f10=3, f11=flt(4))
noisy = rec(f1="choir.plan/1", f2="job", f3="pairwise", f4=rec(f1=50000, f2=300000, f4=3), f5=10, f6="distributed",
    f8=rec(f1=64, f2=20, f3=flt(10), f4=14, f5=1001, f6=flt(100), f7=5092, f8=19, f9=lst(rec(f1="clip_bit", f2=70))),
    f9=lst(tensor("w", 12, 4), tensor("b", 4)),
    f10=rec(f1="softmax", f2=1, f3=10, f4=flt(0.1), f5=flt(0.9), f6=flt(0.01), f7=50), f11="fixed", f18=noise)
plan = hash("choir.plan/1", noisy, rest)
print("noisy task", sha256(rec(f1=round, f2=noisy, f3=rest, f4=model, f5=300, f8=flt(7.5), f9=12, f10=bytes([4]) * 32)).hexdigest())
print("noisy plan", plan.hex())
print("noisy context", hash("choir context/1", rec(f1=round, f2=plan, f3=model, f4=root, f6="pairwise", f7=rec(f1=50000, f2=300000, f4=3),
    f11=flt(7.5), f12=12, f13=bytes([4]) * 32)).hex())
# The same task in a pass of rule rfa: terms with what is weighed, task and context with the centre.
def weighed(): return terms() + rec(f19=rec(f1=flt(0.25), f2=3))
plan = hash("choir.plan/1", weighed(), rest)
print("weighed task", sha256(rec(f1=round, f2=weighed(), f3=rest, f4=model, f5=300, f11=bytes([6]) * 32)).hexdigest())
print("weighed plan", plan.hex())
print("weighed context", hash("choir context/1", rec(f1=round, f2=plan, f3=model, f4=root, f6="pairwise", f7=rec(f1=50000, f2=300000, f4=3),
    f14=bytes([6]) * 32)).hex())
# The partition of secagg.Partition, from the key stream of openssl.
from subprocess import run
def partition(seed, n, count):
    stream = run(["openssl", "enc", "-aes-256-ctr", "-K", seed.hex(), "-iv", "00" * 16], input=bytes(64 * n + 64), capture_output=True, check=True).stdout
    order, at = list(range(n)), 0
    for i in range(n - 1, 0, -1):
        while True:
            v = int.from_bytes(stream[at:at + 4], "big"); at += 4
            if v < (1 << 32) // (i + 1) * (i + 1): break
        j = v % (i + 1)
        order[i], order[j] = order[j], order[i]
    out = [0] * n
    for place, member in enumerate(order): out[member] = place % count
    return out
print("partition", partition(hash("choir partition/1", context), 17, 3))
