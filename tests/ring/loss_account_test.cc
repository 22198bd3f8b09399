#include "protocol/ring/loss_account.h"

#include <gtest/gtest.h>

namespace bgtask::ring {
namespace {

Positions at(uint64_t start, uint64_t consumed, uint64_t lost) {
  return {.start = start, .consumed = consumed, .limit = 1000, .lost = lost};
}

void expect(LossAccount::Missing missing, uint64_t lost, uint64_t taken) {
  EXPECT_EQ(missing.lost, lost);
  EXPECT_EQ(missing.taken, taken);
}

TEST(LossAccount, FromTheBeginningIsWhatTheRingCounted) {
  expect(LossAccount::from_beginning().count(0, 100, at(100, 100, 100)), 100, 0);
  expect(LossAccount::from_beginning().count(0, 100, at(100, 100, 0)), 0, 100);
  expect(LossAccount::from_beginning().count(0, 100, at(100, 150, 30)), 30, 70);
}

TEST(LossAccount, WhatWasGivenBeforeItWasDroppedIsNotCounted) {
  LossAccount account = LossAccount::from_beginning();
  account.settle(200, at(0, 0, 0));
  expect(account.count(200, 100, at(300, 300, 300)), 100, 0);
}

TEST(LossAccount, WhatWasConsumedBeforeTheLastLookIsNotMistakenForLoss) {
  LossAccount account;
  account.settle(200, at(100, 150, 20));
  expect(account.count(200, 100, at(300, 300, 170)), 100, 0);  // 150 to 299 were dropped
  expect(account.count(500, 50, at(550, 550, 170)), 0, 50);
}

TEST(LossAccount, SeveralGapsBetweenTwoLooksAddUp) {
  LossAccount account = LossAccount::from_beginning();
  expect(account.count(0, 100, at(100, 100, 100)), 100, 0);
  expect(account.count(150, 50, at(200, 200, 200)), 50, 0);  // 100 to 149 were given
  expect(account.count(200, 10, at(210, 210, 210)), 10, 0);
}

TEST(LossAccount, BytesBeingWrittenOverCountOnce) {
  LossAccount account = LossAccount::from_beginning();
  expect(account.count(0, 50, at(0, 0, 0)), 50, 0);
  account.settle(80, at(0, 0, 0));
  expect(account.count(80, 20, at(100, 100, 100)), 20, 0);
}

TEST(LossAccount, WithoutAPastLossIsNotHidden) {
  LossAccount account;
  expect(account.count(200, 100, at(300, 300, 120)), 100, 0);
  expect(LossAccount().count(200, 100, at(300, 300, 0)), 0, 100);
}

}  // namespace
}  // namespace bgtask::ring
