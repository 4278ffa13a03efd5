alter type parcel_status add value if not exists 'accepted' before 'registered';
