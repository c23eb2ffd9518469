# Candles and totals from ticks on stdin, by integers alone: prices in cents, volume-weighted averages rounded half up.
import sys

candles, totals = {}, {}
for line in sys.stdin:
    tick, at, symbol, price, qty = line.rstrip("\n").split(",")
    tick, cents, qty = int(tick), int(price.replace(".", "")), int(qty)
    candle = candles.get((symbol, at[:16]))
    if candle is None:
        candles[symbol, at[:16]] = [tick, cents, cents, cents, tick, cents, qty, cents * qty]
    else:
        if tick < candle[0]:
            candle[0], candle[1] = tick, cents
        if tick > candle[4]:
            candle[4], candle[5] = tick, cents
        candle[2] = max(candle[2], cents)
        candle[3] = min(candle[3], cents)
        candle[6] += qty
        candle[7] += cents * qty
    total = totals.setdefault(symbol, [0, 0, 0])
    total[0] += 1
    total[1] += qty
    total[2] += cents * qty


def money(cents):
    return f"{cents // 100}.{cents % 100:02}"


for (symbol, minute), (_, first, high, low, _, last, volume, turnover) in candles.items():
    average = (turnover * 200 + volume) // (2 * volume)
    vwap = f"{average // 10000}.{average % 10000:04}"
    prices = " | ".join(money(cents) for cents in (first, high, low, last))
    print(f"candle {symbol} | {minute}:00 | {prices} | {volume} | {vwap}")
for symbol, (trades, volume, turnover) in totals.items():
    print(f"total {symbol} | {trades} | {volume} | {money(turnover)}")
