import { describe, expect, it } from 'vitest';
import { age, ago, bytes, compact, number, shortClass } from './format';

describe('numbers', () => {
  it('have as many decimals as they are worth', () => {
    expect(number(0.1234)).toBe('0.12');
    expect(number(12.345)).toBe('12.3');
    expect(number(1234.5)).toMatch(/^1.?23[45]$/);
    expect(number(3, 2)).toMatch(/^3.00$/);
    expect(number(null)).toBe('–');
    expect(number(Number.NaN)).toBe('–');
  });
  it('are short where there is little room', () => {
    expect(compact(9999)).toMatch(/^9.?999$/);
    expect(compact(1_234_567)).toMatch(/^1.23M$/);
  });
  it('of bytes have a unit', () => {
    expect(bytes(999)).toBe('999 B');
    expect(bytes(1_500_000)).toBe('1.5 MB');
  });
});

describe('ages', () => {
  it('are in the unit that fits', () => {
    expect(age(320)).toEqual(['0.3', 's']);
    expect(age(65_000)).toEqual(['65', 's']);
    expect(age(600_000)).toEqual(['10', 'min']);
    expect(age(-5)).toEqual(['0.0', 's']);
    expect(ago(400)).toBe('just now');
    expect(ago(3400)).toBe('3 s ago');
  });
});

it('class names are cut to their last part', () => {
  expect(shortClass('io.debezium.connector.mysql.MySqlConnector')).toBe('MySqlConnector');
  expect(shortClass(null)).toBe('–');
});
