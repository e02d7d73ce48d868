"""The memory bank: what it remembers, what it forgets, what a checkpoint keeps."""

import torch

from catalogtool.adaptation._bank import MemoryBank


def _rows(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_a_new_bank_remembers_nothing() -> None:
    assert MemoryBank(4, 3).read().shape == (0, 3)


def test_it_keeps_the_latest_rows_and_forgets_the_oldest() -> None:
    bank, everything = MemoryBank(5, 1), torch.arange(1.0, 15.0)

    for batch in everything.split(3):
        bank.add(batch[:, None])

    assert sorted(bank.read().flatten().tolist()) == everything[-5:].tolist()


def test_of_a_batch_larger_than_the_bank_the_last_rows_stay() -> None:
    bank = MemoryBank(2, 1)

    bank.add(_rows(1, 2, 3, 4, 5))
    bank.add(_rows(6))

    assert sorted(bank.read().flatten().tolist()) == [5, 6]


def test_what_was_read_does_not_change_when_rows_are_added() -> None:
    bank = MemoryBank(2, 1)
    bank.add(_rows(1, 2))
    read = bank.read()

    bank.add(_rows(7, 8))

    assert read.flatten().tolist() == [1, 2]


def test_rows_are_remembered_without_gradient() -> None:
    bank = MemoryBank(2, 1)

    bank.add(_rows(1.0, 2.0).requires_grad_())

    assert not bank.read().requires_grad


def test_its_state_holds_rows_and_places() -> None:
    first, second = MemoryBank(3, 1), MemoryBank(3, 1)
    first.add(_rows(1, 2))

    second.load_state_dict(first.state_dict())
    for bank in (first, second):
        bank.add(_rows(3, 4))

    assert torch.equal(first.read(), second.read())
    assert sorted(first.read().flatten().tolist()) == [2, 3, 4]
