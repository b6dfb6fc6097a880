/** The Internet checksum (RFC 1071) over the parts in a row: 0 when their own checksum field is right. */
export const internetChecksum = (...parts: readonly Uint8Array[]): number => {
  let sum = 0;
  let odd = false;
  for (const part of parts)
    for (const byte of part) {
      sum += odd ? byte : byte << 8;
      odd = !odd;
    }
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
};
